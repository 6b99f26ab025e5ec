import { networkInterfaces } from 'node:os';
import { describe, expect, it } from 'vitest';
import { parseDialRule } from '../address/dial-rule.ts';
import { DialPolicy } from './dial-policy.ts';

const OWN = 7985;

function policy(...allow: string[]): DialPolicy {
  return new DialPolicy({ allow: allow.map(parseDialRule) }, { ownPorts: () => [987, OWN] });
}

describe('where peers may have us connect to', () => {
  it.each([
    ['192.0.2.1', 987],
    ['10.0.0.7', 987],
    ['2001:db8::1', 987],
    ['fd00::7', 987],
    ['::ffff:192.0.2.1', 987],
    ['64:ff9b::c000:201', 987],
  ])('without a setting: %s port %i', (address, port) => {
    expect(policy().allows(address, port)).toBe(true);
  });

  it.each([
    ['192.0.2.1', 988],
    ['192.0.2.1', 22],
    ['127.0.0.1', 987],
    ['::1', 987],
    ['::ffff:127.0.0.1', 987],
    ['::127.0.0.1', 987],
    ['::ffff:7f00:1', 987],
    ['0.0.0.0', 987],
    ['::', 987],
    ['169.254.169.254', 987],
    ['::ffff:169.254.169.254', 987],
    ['64:ff9b::a9fe:a9fe', 987],
    ['64:ff9b::7f00:1', 987],
    ['2002:a9fe:a9fe::1', 987],
    ['fe80::1', 987],
    ['fe80::1%eth0', 987],
    ['224.0.0.1', 987],
    ['255.255.255.255', 987],
    ['ff02::1', 987],
    ['fd00:ec2::254', 987],
    ['100.100.100.200', 987],
    ['a.example', 987],
    ['2130706433', 987],
    ['127.1', 987],
    ['0x7f.1', 987],
  ])('not %s port %i', (address, port) => {
    expect(policy().allows(address, port)).toBe(false);
  });

  it('what operators add, addresses and ports', () => {
    const added = policy('10.1.0.0/16:9987', '[2001:db8::/32]:*', '*:988', '127.0.0.2:*');
    expect(added.allows('10.1.2.3', 9987)).toBe(true);
    expect(added.allows('10.2.2.3', 9987)).toBe(false);
    expect(added.allows('2001:db8::1', 1)).toBe(true);
    expect(added.allows('192.0.2.1', 988)).toBe(true);
    // `*` leaves out this host itself; a rule that names it does not.
    expect(added.allows('127.0.0.1', 988)).toBe(false);
    expect(added.allows('127.0.0.2', 988)).toBe(true);
    expect(added.allows('192.0.2.1', 987)).toBe(true);
  });

  it('never what is forbidden, nor ports of our own, whatever operators add', () => {
    const all = policy('0.0.0.0/0:*', '[::/0]:*');
    expect(all.allows('127.0.0.1', 80)).toBe(true);
    expect(all.allows('127.0.0.1', OWN)).toBe(false);
    expect(all.allows('::1', OWN)).toBe(false);
    expect(all.allows('192.0.2.1', OWN)).toBe(true);
    expect(all.allows('169.254.169.254', 80)).toBe(false);
    expect(all.allows('0.0.0.0', 80)).toBe(false);
    for (const one of Object.values(networkInterfaces()).flat()) {
      if (one !== undefined) expect(all.allows(one.address, OWN)).toBe(false);
    }
  });

  it('a name need not be looked up when no address would do', () => {
    expect([policy().forbidsPort(987), policy().forbidsPort(988)]).toEqual([false, true]);
    expect(policy('10.0.0.0/8:*').forbidsPort(988)).toBe(false);
  });
});

describe('a rule of the setting', () => {
  it.each([
    ['10.0.0.0/8', 'must be'],
    ['10.0.0.0/8:0', 'port must be'],
    ['10.0.0.0/8:99999', 'port must be'],
    ['10.0.0.1/8:987', 'length of a prefix'],
    ['host.example:987', 'address or a prefix'],
    ['2001:db8::1:987', 'in brackets'],
    ['[2001:db8::1:987', 'in brackets'],
    ['2001:db8::1]:987', 'in brackets'],
    ['[2001:db8::1]', 'must be'],
    ['', 'must be'],
  ])('%j is refused', (text, why) => {
    expect(() => parseDialRule(text)).toThrow(why);
  });
});
