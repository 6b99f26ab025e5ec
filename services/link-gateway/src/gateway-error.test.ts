import { describe, expect, it } from 'vitest';
import { isFailed, LinkGatewayError } from './gateway-error.ts';

describe('an error of the gateway', () => {
  it('says what failed and why, and keeps its cause', () => {
    const cause = new Error('ETIMEDOUT');
    const error = new LinkGatewayError('dial', { why: 'unreachable' }, { cause });
    expect(error).toMatchObject({ code: 'dial', data: { why: 'unreachable' }, cause, message: 'dial: unreachable' });
    expect(new LinkGatewayError('trunk', { why: 'invalid' }, { message: 'not a trunk' }).message).toBe('not a trunk');
  });

  it('is told from other errors by its code', () => {
    const error = new LinkGatewayError('order', { why: 'failed', failure: 'closed' });
    expect([isFailed(error, 'order'), isFailed(error, 'dial'), isFailed(new Error('order'), 'order')]).toEqual([
      true,
      false,
      false,
    ]);
  });
});
