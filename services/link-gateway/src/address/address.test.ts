import { parsePrefix } from '@spanmesh/dmsg-socket/address/prefix';
import { describe, expect, it } from 'vitest';
import { parseDialRule } from './dial-rule.ts';
import { isLoopback, peerAddress } from './peer-address.ts';

describe('a rule of where peers may have a gateway connect to', () => {
  it.each([
    ['10.1.0.0/16:9987', '10.1.0.0/16', 9987],
    ['[2001:db8::/32]:1', '2001:db8::/32', 1],
    ['192.0.2.1:65535', '192.0.2.1', 65535],
    ['192.0.2.1:*', '192.0.2.1', null],
  ])('%s names addresses and a port', (text, prefix, port) => {
    expect(parseDialRule(text)).toEqual({ prefix: parsePrefix(prefix), port });
  });

  it('may be for every address, and for every port', () => {
    expect(parseDialRule('*:987')).toEqual({ prefix: null, port: 987 });
    expect(parseDialRule('*:*')).toEqual({ prefix: null, port: null });
  });

  it.each([
    ['192.0.2.1', /must be ADDRESS:PORT/],
    ['[2001:db8::1]', /must be ADDRESS:PORT/],
    ['2001:db8::1:987', /stands in brackets/],
    ['[2001:db8::1:987', /stands in brackets/],
    ['192.0.2.1:0', /port must be 1\.\.65535, or \*/],
    ['192.0.2.1:65536', /port must be/],
    ['192.0.2.1:000987', /port must be/],
    ['192.0.2.1:x', /port must be/],
    ['192.0.2.1:', /port must be/],
  ])('%s is none', (text, words) => {
    expect(() => parseDialRule(text)).toThrow(words);
  });
});

describe('the address of a peer', () => {
  it('is written as IPv4 if it is mapped, and stays as it is otherwise', () => {
    const given = ['192.0.2.1', '::ffff:192.0.2.1', '::FFFF:192.0.2.1', '::ffff:c000:201', '2001:db8::1', '::1', ''];
    expect(given.map(peerAddress)).toEqual(['192.0.2.1', '192.0.2.1', '192.0.2.1', ...given.slice(3)]);
  });

  it('is a loopback one in 127.0.0.0/8, and ::1', () => {
    expect(['127.0.0.1', '127.255.0.9', '::1', '0:0:0:0:0:0:0:1'].map(isLoopback)).toEqual([true, true, true, true]);
    expect(['126.0.0.1', '128.0.0.1', '192.0.2.127', '::2', '7f00::1', 'x', ''].map(isLoopback)).toEqual(
      Array(7).fill(false),
    );
  });
});
