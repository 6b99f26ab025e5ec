import { status } from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import { ApiError } from './api-error.ts';

// Limits: grpc/api-error.ts MAX_DETAILS_CHARS
it('an error says at most 1,000 characters, however much it quotes', () => {
  const fits = new ApiError(status.NOT_FOUND, 'x'.repeat(1000));
  expect(fits.details).toBe('x'.repeat(1000));
  const long = new ApiError(status.NOT_FOUND, 'x'.repeat(1001));
  expect([long.details, long.message]).toEqual([`${'x'.repeat(1000)}…`, `${'x'.repeat(1000)}…`]);
});
