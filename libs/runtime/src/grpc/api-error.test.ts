import { status } from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import { recordingLogger } from '../tls/certificates.fixture.ts';
import { ApiError, FaultLog, invalid } from './api-error.ts';

// Limits: grpc/api-error.ts MAX_DETAILS_CHARS
it('an error says at most 1,000 characters, however much it quotes', () => {
  const fits = new ApiError(status.NOT_FOUND, 'x'.repeat(1000));
  expect(fits.details).toBe('x'.repeat(1000));
  const long = new ApiError(status.NOT_FOUND, 'x'.repeat(1001));
  expect([long.details, long.message]).toEqual([`${'x'.repeat(1000)}…`, `${'x'.repeat(1000)}…`]);
});

it('an error of a request that cannot be is one of the caller', () => {
  expect(invalid('No such name.')).toMatchObject({
    name: 'ApiError',
    code: status.INVALID_ARGUMENT,
    details: 'No such name.',
    message: 'No such name.',
  });
});

it('a fault of ours is logged once in ten seconds, and not explained to the caller; an error for the caller passes', () => {
  const { lines, logger } = recordingLogger();
  const clock = new FakeClock();
  const faults = new FaultLog({ service: 'topology' }, { logger, clock });
  const told = invalid('No such name.');
  expect(faults.report(told)).toBe(told);
  expect(lines).toEqual([]);
  for (const fault of [new Error('secret'), new Error('secret'), 'no error', new Error('another')]) {
    expect(faults.report(fault)).toMatchObject({
      code: status.INTERNAL,
      details: 'The topology service failed to answer; its log says why.',
    });
  }
  expect(lines.splice(0).map((line) => JSON.parse(line).msg)).toEqual(Array(3).fill('request failed'));
  clock.advance(9999);
  faults.report(new Error('secret'));
  expect(lines).toEqual([]);
  clock.advance(1);
  faults.report(new Error('secret'));
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ suppressed: 2, err: { message: 'secret' } }]);
});
