import { crc32c } from '@spanmesh/dmsg/crc';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LinkGatewayError } from '../../gateway-error.ts';
import { proxyHeader } from './proxy.fixture.ts';
import { readProxyHeader } from './proxy-header.ts';

function codeOf(bytes: Uint8Array): string {
  try {
    return readProxyHeader(bytes) === null ? 'more' : 'whole';
  } catch (error) {
    expect(error).toBeInstanceOf(LinkGatewayError);
    return (error as LinkGatewayError<'proxy'>).data.why;
  }
}

/** A header with a checksum, right or not. */
function withChecksum(right: boolean): Buffer {
  const header = proxyHeader('10.1.2.3', 4000, { extras: Buffer.from([3, 0, 4, 0, 0, 0, 0]) });
  header.writeUInt32BE(crc32c(header, 0, header.length) ^ (right ? 0 : 1), header.length - 4);
  return header;
}

describe('the PROXY header', () => {
  it('tells who the peer is', () => {
    expect(readProxyHeader(proxyHeader('10.1.2.3', 4000))).toEqual({
      bytes: 28,
      source: { host: '10.1.2.3', port: 4000 },
    });
    expect(readProxyHeader(proxyHeader('2001:db8::5', 65535))).toEqual({
      bytes: 52,
      source: { host: '2001:db8::5', port: 65535 },
    });
    expect(readProxyHeader(proxyHeader('::ffff:10.1.2.3', 1))?.source).toEqual({ host: '10.1.2.3', port: 1 });
  });

  it('may be of the proxy itself (LOCAL), whatever addresses follow', () => {
    for (const family of [0, 0x11, 0xff]) {
      const header = proxyHeader('10.1.2.3', 4000, { command: 0x20, family });
      expect(readProxyHeader(header)).toEqual({ bytes: header.length, source: null });
    }
    expect(
      readProxyHeader(Buffer.concat([proxyHeader('10.1.2.3', 1, { command: 0x20 }).subarray(0, 14), Buffer.of(0, 0)])),
    ).toEqual({ bytes: 16, source: null });
  });

  // Limits: proxy/limits.ts MAX_PROXY_HEADER_BYTES
  it('has 4 KiB at most', () => {
    const ofBytes = (bytes: number) => {
      const extras = Buffer.alloc(bytes - 28);
      extras[0] = 4;
      extras.writeUInt16BE(extras.length - 3, 1);
      return proxyHeader('10.1.2.3', 4000, { extras });
    };
    expect(readProxyHeader(ofBytes(4096))?.bytes).toBe(4096);
    expect(codeOf(ofBytes(4097))).toBe('length');
    // The rest of such a header is not waited for.
    expect(codeOf(ofBytes(4097).subarray(0, 16))).toBe('length');
  });

  it('may have extras, of which a checksum must be right', () => {
    const extras = Buffer.from([4, 0, 0, 0x02, 0, 3, 1, 2, 3]);
    expect(readProxyHeader(proxyHeader('10.1.2.3', 4000, { extras }))?.bytes).toBe(28 + extras.length);
    expect(codeOf(withChecksum(true))).toBe('whole');
    expect(codeOf(withChecksum(false))).toBe('checksum');
  });

  it.each([
    ['signature', Buffer.from('PROXY TCP4 10.1.2.3 10.0.0.1 4000 987\r\n')],
    ['version', proxyHeader('10.1.2.3', 1, { command: 0x11 })],
    ['version', proxyHeader('10.1.2.3', 1, { command: 0x22 })],
    ['family', proxyHeader('10.1.2.3', 1, { family: 0x00 })],
    ['family', proxyHeader('10.1.2.3', 1, { family: 0x12 })],
    ['family', proxyHeader('10.1.2.3', 1, { family: 0x31 })],
    // An IPv4 block that is said to be IPv6.
    ['length', proxyHeader('10.1.2.3', 1, { family: 0x21 })],
    ['length', proxyHeader('10.1.2.3', 1, { extras: Buffer.of(4, 0) })],
    ['length', proxyHeader('10.1.2.3', 1, { extras: Buffer.of(4, 0, 1) })],
    ['length', proxyHeader('10.1.2.3', 1, { extras: Buffer.of(3, 0, 1, 0) })],
    ['length', proxyHeader('10.1.2.3', 1, { extras: Buffer.alloc(5000) })],
  ])('is refused for its %s', (code, bytes) => {
    expect(codeOf(bytes)).toBe(code);
  });

  it('is the same however it is cut, and what follows is not looked at', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.ipV4(), fc.ipV6()),
        fc.nat(65535),
        fc.uint8Array({ maxLength: 200 }),
        (host, port, rest) => {
          const header = proxyHeader(host, port);
          for (let at = 0; at < header.length; at++) expect(readProxyHeader(header.subarray(0, at))).toBeNull();
          const whole = readProxyHeader(Buffer.concat([header, rest]));
          expect(whole).toEqual(readProxyHeader(header));
          expect(whole?.bytes).toBe(header.length);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('throws nothing but its own errors, and never asks for more than its bound', () => {
    const damaged = fc
      .tuple(fc.array(fc.tuple(fc.nat(60), fc.nat(255))), fc.uint8Array({ maxLength: 80 }))
      .map(([changes, tail]) => {
        const bytes = Buffer.concat([withChecksum(true), tail]);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 100 })), fc.nat(200), (bytes, cut) => {
        const part = codeOf(bytes.subarray(0, cut));
        const whole = codeOf(bytes);
        // A header that is wrong, or whole, stays so when more bytes come.
        if (part !== 'more') expect(whole).toBe(part);
        const filled = Buffer.concat([bytes, Buffer.alloc(5000)]);
        expect(codeOf(filled)).not.toBe('more');
      }),
      { numRuns: 2000 },
    );
  });
});
