import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../error-code.ts';
import { ChunkCounter } from './chunk-counter.ts';
import { errorOf } from './error.fixture.ts';

const LAST = 0xffffffff;

describe('chunk counter', () => {
  it('carries into the high half', () => {
    const counter = new ChunkCounter({ high: 6, low: LAST - 1 });
    counter.advance(1);
    expect([counter.high, counter.low]).toEqual([6, LAST]);
    counter.advance(1);
    expect([counter.high, counter.low]).toEqual([7, 0]);
    counter.advance(LAST);
    counter.advance(LAST);
    expect([counter.high, counter.low]).toEqual([8, LAST - 1]);
  });

  it('allows the last number and none after it', () => {
    const counter = new ChunkCounter({ high: LAST, low: LAST - 2 });
    counter.check(3);
    errorOf(ErrorCode.IVWRAP, () => counter.check(4));
    counter.advance(3);
    counter.check(0);
    errorOf(ErrorCode.IVWRAP, () => counter.check(1));
  });
});
