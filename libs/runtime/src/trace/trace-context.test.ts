import { describe, expect, it } from 'vitest';
import { contextOf, parseTraceparent, partsOf, readTraceContext, traceparent } from './trace-context.ts';

// Written once more: a change of them must be noticed.
const TRACE_CONTEXT_BYTES = 25;

const TRACE = 'ab'.repeat(16);
const STEP = 'cd'.repeat(8);

describe('the context of a trace', () => {
  it('is the same as text, as bytes and in parts', () => {
    const context = parseTraceparent(`00-${TRACE}-${STEP}-01`);
    expect(context).toHaveLength(TRACE_CONTEXT_BYTES);
    const parts = partsOf(context!);
    expect(parts).toEqual({ traceId: TRACE, stepId: STEP, flags: 1 });
    expect(contextOf(parts)).toEqual(context);
    expect(traceparent(context!)).toBe(`00-${TRACE}-${STEP}-01`);
    expect(traceparent(contextOf({ ...parts, flags: 0 }))).toMatch(/-00$/);
  });

  it.each([
    [undefined],
    [''],
    [Buffer.from('00')],
    [`01-${TRACE}-${STEP}-01`],
    [`00-${TRACE.toUpperCase()}-${STEP}-01`],
    [`00-${TRACE}-${STEP}-01-more`],
    [`00-${'0'.repeat(32)}-${STEP}-01`],
    [`00-${TRACE}-${'0'.repeat(16)}-01`],
    [`00-${TRACE}-${STEP}`],
  ])('cannot be read from %s', (text) => {
    expect(parseTraceparent(text)).toBeNull();
  });

  it.each([
    ['none', undefined],
    ['no bytes', Buffer.alloc(0)],
    ['a byte too few', Buffer.alloc(TRACE_CONTEXT_BYTES - 1, 1)],
    ['a byte too many', Buffer.alloc(TRACE_CONTEXT_BYTES + 1, 1)],
    ['nothing but zeros', Buffer.alloc(TRACE_CONTEXT_BYTES)],
  ])('of another service is ignored if it is %s', (_, bytes) => {
    expect(readTraceContext(bytes)).toBeNull();
  });
});
