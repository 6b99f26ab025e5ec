import { type ApiError, NatsError } from 'nats';
import { describe, expect, it } from 'vitest';
import { BusError } from '../bus.ts';
import { JETSTREAM_ERRORS, type JetStreamMeaning, jetStreamError } from './jetstream-errors.ts';
import type { NatsLink } from './nats-link.ts';
import { NatsStream } from './nats-stream.ts';

/**
 * The number or name of an error, its meaning, and for `settings` the setting: written down apart from the table, so
 * that a mistake in the table shows.
 */
const EXPECTED: readonly (readonly [code: number | string, meaning: JetStreamMeaning, setting?: string])[] = [
  [10002, 'passing'],
  [10004, 'passing'],
  [10005, 'passing'],
  [10006, 'passing'],
  [10007, 'passing'],
  [10008, 'passing'],
  [10009, 'passing'],
  [10012, 'passing'],
  [10014, 'passing'],
  [10023, 'passing'],
  [10026, 'passing'],
  [10028, 'passing'],
  [10035, 'passing'],
  [10040, 'passing'],
  [10041, 'passing'],
  [10044, 'passing'],
  [10047, 'passing'],
  [10048, 'passing'],
  [10049, 'passing'],
  [10051, 'passing'],
  [10053, 'passing'],
  [10075, 'passing'],
  [10077, 'passing'],
  [10096, 'passing'],
  [10104, 'passing'],
  [10118, 'passing'],
  [10119, 'passing'],
  [10158, 'passing'],
  [10163, 'passing'],
  [10167, 'passing'],
  [10194, 'passing'],
  [10195, 'passing'],
  [10202, 'passing'],
  ['503', 'passing'],
  ['TIMEOUT', 'passing'],
  ['408', 'passing'],
  ['CONNECTION_CLOSED', 'passing'],
  ['CONNECTION_DRAINING', 'passing'],
  ['DISCONNECT', 'passing'],
  [10010, 'settings', 'SPANMESH_NATS_REPLICAS'],
  [10074, 'settings', 'SPANMESH_NATS_REPLICAS'],
  [10120, 'settings', 'SPANMESH_NATS_REPLICAS'],
  [10027, 'settings', 'SPANMESH_NATS_URL'],
  [10036, 'settings', 'SPANMESH_NATS_URL'],
  [10039, 'settings', 'SPANMESH_NATS_URL'],
  [10052, 'settings', 'SPANMESH_NATS_URL'],
  [10076, 'settings', 'SPANMESH_NATS_URL'],
  [10113, 'settings', 'SPANMESH_NATS_URL'],
  ['PERMISSIONS_VIOLATION', 'settings', 'SPANMESH_NATS_URL'],
  [10058, 'settings', 'SPANMESH_INSTALLATION'],
  [10065, 'settings', 'SPANMESH_INSTALLATION'],
  [10109, 'settings', 'SPANMESH_INSTALLATION'],
  [10071, 'conflict'],
  [10164, 'conflict'],
  [10054, 'invalid'],
  ['MAX_PAYLOAD_EXCEEDED', 'invalid'],
  [10059, 'no-stream'],
  [10037, 'no-message'],
];

/** An error as the library throws it. */
function thrown(code: number | string): NatsError {
  if (typeof code === 'string') return new NatsError('what it says', code);
  // For an error of JetStream the library's code is that of HTTP, which does not tell the errors apart.
  const error = new NatsError('what it says', '503');
  error.api_error = { code: 503, err_code: code, description: 'what it says' } satisfies ApiError;
  return error;
}

/** The error that a user of a bucket gets when JetStream answers with this one. */
async function heard(error: unknown): Promise<unknown> {
  const nats = { jetstreamManager: () => Promise.reject(error) };
  const stream = new NatsStream({ bucket: 'x-leases', replicas: 3, isMade: true }, { nats } as unknown as NatsLink);
  return stream.open().catch((reason: unknown) => reason);
}

describe('errors of JetStream', () => {
  it.each(EXPECTED.map(([code, meaning, setting = '']) => ({ code, meaning, setting })))(
    '$code is $meaning',
    async ({ code, meaning, setting }) => {
      const error = thrown(code);
      expect(jetStreamError(error)).toMatchObject({ code, meaning, setting });
      const told = await heard(error);
      expect(told).toBeInstanceOf(BusError);
      const isTold = meaning === 'conflict' || meaning === 'invalid' || meaning === 'settings';
      expect(told).toMatchObject({ code: isTold ? meaning : 'unavailable', setting });
      if (meaning === 'settings') {
        expect((told as BusError).message).toMatch(/^the bucket x-leases cannot be had: what it says: .{20}/);
      }
    },
  );

  it('are all in the table above', () => {
    expect(JETSTREAM_ERRORS.map(({ code }) => code).sort()).toEqual(EXPECTED.map((row) => row[0]).sort());
  });

  it('that are unknown count as passing', () => {
    for (const error of [thrown(10999), thrown('WHATEVER'), new Error('of somebody else')]) {
      expect(jetStreamError(error).meaning).toBe('passing');
    }
  });
});
