import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressText } from '../address/numeric-address.ts';
import { contains, masked, parsePrefix, prefixText } from '../address/prefix.ts';
import { parsePeerFileName } from './peer-file-name.ts';
import { PeerRules } from './peer-rules.ts';

const address = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  // The first byte is not 0, so that it is not an IPv4-mapped address.
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => bytes.with(0, bytes[0]! | 0x20)),
);
/** Addresses with few different bits, so that prefixes contain each other. */
const nearby = fc
  .tuple(fc.constantFrom(4, 16), fc.array(fc.constantFrom(0, 1, 2, 128, 255), { minLength: 16, maxLength: 16 }))
  .map(([length, bytes]) => Uint8Array.from(bytes).with(0, 0x20).subarray(0, length));
const prefix = fc
  .tuple(nearby, fc.nat(128))
  .map(([bytes, bits]) => Math.min(bits, 8 * bytes.length))
  .chain((bits) =>
    nearby.filter((bytes) => bits <= 8 * bytes.length).map((bytes) => ({ address: masked(bytes, bits), bits })),
  );

describe('prefixes', () => {
  it('are read as they are printed', () => {
    fc.assert(
      fc.property(prefix, (one) => {
        expect(parsePrefix(prefixText(one))).toEqual(one);
      }),
    );
  });

  it('contain the addresses that begin with their bits', () => {
    fc.assert(
      fc.property(address, fc.nat(128), (bytes, n) => {
        const bits = Math.min(n, 8 * bytes.length);
        const one = { address: masked(bytes, bits), bits };
        expect(contains(one, bytes)).toBe(true);
        if (bits === 0) return;
        const other = Uint8Array.from(bytes);
        other[(bits - 1) >> 3]! ^= 0x80 >> ((bits - 1) & 7);
        expect(contains(one, other)).toBe(false);
      }),
    );
    expect(contains(parsePrefix('::/0'), parsePrefix('10.0.0.1').address)).toBe(false);
  });

  it.each(['10.1.0.0/33', '10.1.0.1/16', '10.1.0.0/', '10.1.0.0/016', '10.1.0.0/-1', 'host/8', '', '/', '::/129'])(
    'are not %j',
    (text) => {
      expect(() => parsePrefix(text)).toThrow(/must be/);
    },
  );
});

describe('names of peer files', () => {
  it.each([
    ['10.1.2.3.pub', '10.1.2.3', 'pub'],
    ['10.1.2.3.none', '10.1.2.3', 'none'],
    ['10.1.0.0_16.pub', '10.1.0.0/16', 'pub'],
    ['0.0.0.0_0.none', '0.0.0.0/0', 'none'],
    ['2001:db8::_32.pub', '2001:db8::/32', 'pub'],
    ['2001-db8--_32.untagged', '2001:db8::/32', 'untagged'],
    ['10.1.2.3.refused', '10.1.2.3', 'refused'],
    ['10.1.2.3.bound', '10.1.2.3', 'bound'],
    ['10.1.0.0_16.exponent', '10.1.0.0/16', 'exponent'],
    ['--1.none', '::1', 'none'],
    ['FE80--1.pub', 'fe80::1', 'pub'],
    ['--ffff-10.1.2.3.pub', '10.1.2.3', 'pub'],
  ])('%s names %s', (name, peers, kind) => {
    const parsed = parsePeerFileName(name)!;
    expect([prefixText(parsed.prefix), parsed.kind]).toEqual([peers, kind]);
  });

  it.each([
    '10.1.2.3',
    'host.pub',
    '10.1.2.3.PUB',
    '10.1.0.1_16.pub',
    '10.1.0.0_33.pub',
    '.pub',
    '10.1.2.3.pub~',
    '10.1.2.3.prv',
  ])('%s names nobody', (name) => {
    expect(parsePeerFileName(name)).toBeNull();
  });
});

describe('rules', () => {
  it('the longest prefix that contains the address decides', () => {
    fc.assert(
      fc.property(fc.uniqueArray(prefix, { selector: prefixText, maxLength: 12 }), nearby, (prefixes, peer) => {
        const rules = new PeerRules(
          prefixes.map((one) => ({ prefix: one, access: { kind: 'plaintext', file: prefixText(one) } })),
        );
        const [longest] = prefixes.filter((one) => contains(one, peer)).sort((a, b) => b.bits - a.bits);
        expect(rules.of(addressText(peer)).file).toBe(longest === undefined ? null : prefixText(longest));
      }),
    );
  });

  it('an IPv4-mapped address is its IPv4 address; a text that is no address is refused', () => {
    const rules = new PeerRules([{ prefix: parsePrefix('10.0.0.0/8'), access: { kind: 'plaintext', file: 'f' } }]);
    expect(rules.of('::ffff:10.1.2.3').kind).toBe('plaintext');
    expect(rules.of('').kind).toBe('refused');
    expect(rules.of('::a01:203')).toMatchObject({ kind: 'refused', refusal: 'no-key', file: null });
  });
});
