import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressBytes, addressText } from './numeric-address.ts';

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

describe('numeric addresses', () => {
  it.each([
    ['10.1.2.3', '10.1.2.3'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['::FFFF:0a01:0203', '10.1.2.3'],
    ['0:0:0:0:0:ffff:10.1.2.3', '10.1.2.3'],
    ['::1', '::1'],
    ['::', '::'],
    ['2001:DB8:0:0:8:0:0:1', '2001:db8::8:0:0:1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['64:ff9b::10.1.2.3', '64:ff9b::a01:203'],
    // An IPv4-compatible address, which is not an IPv4-mapped one.
    ['::10.1.2.3', '::a01:203'],
    ['1:0:2:0:3:0:4:0', '1:0:2:0:3:0:4:0'],
  ])('reads %s as %s', (text, canonical) => {
    expect(addressText(addressBytes(text)!)).toBe(canonical);
  });

  it.each([
    '',
    'host',
    '10.1.2',
    '10.1.2.256',
    '010.1.2.3',
    '10.1.2.3%eth0',
    '1::2::3',
    ':::',
    '12345::',
    `${'0'.repeat(200)}`,
  ])('does not read %j as an address', (text) => {
    expect(addressBytes(text)).toBeNull();
  });

  it('reads an address that it has printed as the same one', () => {
    fc.assert(
      fc.property(fc.oneof(bytesOf(4), bytesOf(16)), (bytes) => {
        const text = addressText(bytes);
        const read = addressBytes(text)!;
        expect(addressText(read)).toBe(addressText(addressBytes(text.toUpperCase())!));
        if (read.length === bytes.length) expect(read).toEqual(bytes);
        // An IPv4-mapped address reads as the IPv4 address.
        else expect(read).toEqual(bytes.subarray(12));
      }),
    );
  });

  it('never throws, whatever the text', () => {
    fc.assert(fc.property(fc.string(), (text) => void addressBytes(text)));
  });
});

// Limits: address/numeric-address.ts MAX_TEXT
it('a text of more than 100 characters is no address, whatever it says', () => {
  expect(addressBytes(`fe80::1%${'x'.repeat(92)}`)).not.toBeNull();
  expect(addressBytes(`fe80::1%${'x'.repeat(93)}`)).toBeNull();
});
