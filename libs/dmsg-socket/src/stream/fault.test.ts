import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { describe, expect, it } from 'vitest';
import { faultOf } from './fault.ts';

describe('the fault of a thrown error', () => {
  it('is the rule that the peer has broken, with its numbers', () => {
    const fault = faultOf(new DmsgError(ErrorCode.FIELD, 'aux data too large', { limit: 7 }));
    const detail = { error: 'FIELD', rule: 'aux data too large', limit: 7 };
    expect(fault).toEqual({ kind: 'protocol', code: ErrorCode.FIELD, name: 'FIELD', detail });
  });

  it('is internal for any error but a DmsgError', () => {
    expect(faultOf('oops')).toEqual({ kind: 'internal', detail: { err: 'oops' } });
  });
});
