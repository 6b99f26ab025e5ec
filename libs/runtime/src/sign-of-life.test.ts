import { describe, expect, it } from 'vitest';
import { decodeSignOfLife, encodeSignOfLife } from './sign-of-life.ts';

describe('a sign of life', () => {
  it('says of whom it is', () => {
    for (const sign of [
      { kind: 'gateway', id: 'gw-1.0123abcd' },
      { kind: 'topology', id: '10.0.0.1:7986' },
    ] as const) {
      expect(decodeSignOfLife(encodeSignOfLife(sign))).toEqual(sign);
    }
  });

  it.each(['', '{', '{"kind":"gateway"}', '{"kind":"other","id":"x"}', '{"kind":"gateway","id":""}', 'null'])(
    'is not %j',
    (text) => {
      expect(decodeSignOfLife(Buffer.from(text))).toBeNull();
    },
  );

  it('is of nobody whose id is longer than ids are', () => {
    expect(decodeSignOfLife(Buffer.from(JSON.stringify({ kind: 'gateway', id: 'x'.repeat(301) })))).toBeNull();
  });
});
