import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DmsgError } from './dmsg-error.ts';
import { compareUuid, formatUuid, isNilUuid, NIL_UUID, parseUuid } from './uuid.ts';

const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 });

describe('uuids', () => {
  it('are in DCE layout on the wire', () => {
    const wire = Buffer.from('521a8f0b3d6ce4118a2101a2b3c4d5e6', 'hex');
    expect(formatUuid(wire, 0)).toBe('0b8f1a52-6c3d-11e4-8a21-01a2b3c4d5e6');
    const out = Buffer.alloc(18);
    parseUuid('0B8F1A52-6C3D-11E4-8A21-01A2B3C4D5E6', out, 1);
    expect(out.subarray(1, 17)).toEqual(wire);
    expect([out[0], out[17]]).toEqual([0, 0]);
  });

  it('come back from their text', () => {
    fc.assert(
      fc.property(bytes, (wire) => {
        const out = new Uint8Array(16);
        parseUuid(formatUuid(wire, 0), out, 0);
        expect(out).toEqual(wire);
        expect(isNilUuid(wire, 0)).toBe(formatUuid(wire, 0) === NIL_UUID);
      }),
    );
  });

  it('sort like their texts: numbers first, not wire bytes', () => {
    fc.assert(
      fc.property(bytes, bytes, fc.nat(16), (a, b, same) => {
        b.set(a.subarray(0, same));
        const [textA, textB] = [formatUuid(a, 0), formatUuid(b, 0)];
        expect(Math.sign(compareUuid(a, 0, b, 0))).toBe(textA < textB ? -1 : textA > textB ? 1 : 0);
      }),
    );
    const low = Buffer.alloc(16);
    const high = Buffer.alloc(16);
    low[0] = 0xff;
    high[3] = 0x01;
    expect(compareUuid(low, 0, high, 0)).toBeLessThan(0);
  });

  it('are refused when they are not canonical', () => {
    const out = new Uint8Array(16);
    for (const text of ['', 'x', NIL_UUID.slice(1), `${NIL_UUID}0`, NIL_UUID.replace('-', '0'), `{${NIL_UUID}}`]) {
      expect(() => parseUuid(text, out, 0)).toThrow(DmsgError);
    }
  });

  it('know nil', () => {
    expect(formatUuid(new Uint8Array(16), 0)).toBe(NIL_UUID);
    expect(
      isNilUuid(
        Uint8Array.from({ length: 17 }, (_, i) => (i === 16 ? 1 : 0)),
        0,
      ),
    ).toBe(true);
    expect(
      isNilUuid(
        Uint8Array.from({ length: 17 }, (_, i) => (i === 16 ? 1 : 0)),
        1,
      ),
    ).toBe(false);
  });
});
