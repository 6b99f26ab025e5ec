import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { describe, expect, it } from 'vitest';
import { faultOf } from './fault.ts';

describe('what was thrown', () => {
  it('is the rule that was broken, with its numbers', () => {
    const fault = faultOf(new DmsgError(ErrorCode.FIELD, 'aux data too large', { limit: 7 }));
    const detail = { error: 'FIELD', rule: 'aux data too large', limit: 7 };
    expect(fault).toEqual({ kind: 'protocol', code: ErrorCode.FIELD, name: 'FIELD', detail });
  });

  it('is ours when it is anything else', () => {
    expect(faultOf('oops')).toEqual({ kind: 'internal', detail: { err: 'oops' } });
  });
});
