import {
  Client,
  credentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServerUnaryCall,
  type ServiceError,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import { createLogger } from '../log/logger.ts';
import { until } from '../patience.fixture.ts';
import type { PoolLimit } from '../shares/pool.ts';
import { GrpcServer } from './grpc-server.ts';
import { RequestPace } from './request-pace.ts';

// Written once more: a change of them must be noticed.
const MAX_REQUEST_BYTES_AT_ONCE = 4 * 1024 * 1024;
const MAX_REQUEST_BYTES_PER_SECOND = 1024 * 1024;

/** As long as it takes until a user may send as many bytes at once again, ms. */
const REFILL_MS = (1000 * MAX_REQUEST_BYTES_AT_ONCE) / MAX_REQUEST_BYTES_PER_SECOND;

describe('requests', () => {
  let clock: FakeClock;
  let begun: string[];
  let limited: PoolLimit[];
  let pace: RequestPace;
  beforeEach(() => {
    clock = new FakeClock();
    begun = [];
    limited = [];
    pace = new RequestPace({ clock, limited: (limit) => void limited.push(limit) });
  });

  /** A call of this name, of the user who is its first letter. */
  function call(name: string) {
    const turn = { principal: name.charAt(0), begin: () => void begun.push(name) };
    pace.read(turn);
    return (bytes: number) => pace.end(turn, () => bytes);
  }

  // Limits: grpc/request-pace.ts MAX_REQUEST_BYTES_AT_ONCE
  it('of so many bytes at once are read at once, and after one more byte the next one waits', () => {
    call('a1')(MAX_REQUEST_BYTES_AT_ONCE);
    call('a2')(1);
    expect(begun).toEqual(['a1', 'a2']);
    expect(limited).toEqual([]);
    call('a3');
    expect(begun).toEqual(['a1', 'a2']);
    expect(limited).toMatchObject([{ principal: 'a', held: MAX_REQUEST_BYTES_AT_ONCE + 1 }]);
    clock.advance(1);
    expect(begun).toEqual(['a1', 'a2', 'a3']);
  });

  // Limits: grpc/request-pace.ts MAX_REQUEST_BYTES_PER_SECOND
  it('of so many bytes a second are read when the user has no debt any more, and not sooner', () => {
    call('a1')(MAX_REQUEST_BYTES_AT_ONCE + MAX_REQUEST_BYTES_PER_SECOND);
    call('a2');
    clock.advance(999);
    expect(begun).toEqual(['a1']);
    clock.advance(1);
    expect(begun).toEqual(['a1', 'a2']);
  });

  it('of a user in debt are read in order, one by one; those of other users are not held up', () => {
    call('a1')(2 * MAX_REQUEST_BYTES_AT_ONCE);
    const ends = ['a2', 'a3', 'a4'].map(call);
    call('b1')(1);
    expect(begun).toEqual(['a1', 'b1']);
    clock.advance(REFILL_MS);
    expect(begun).toEqual(['a1', 'b1', 'a2']);
    ends[0]!(0);
    ends[1]!(1);
    expect(begun).toEqual(['a1', 'b1', 'a2', 'a3']);
    clock.advance(1);
    expect(begun).toEqual(['a1', 'b1', 'a2', 'a3', 'a4']);
  });

  it('that are not sent hold up others of the user for a moment only', () => {
    for (let i = 0; i < 18; i++) call(`a${i}`);
    expect(begun).toHaveLength(17);
    clock.advance(100);
    expect(begun).toHaveLength(18);
  });

  it('leave nothing behind: of calls that end while they wait, and once the debt is gone', () => {
    call('a1')(2 * MAX_REQUEST_BYTES_AT_ONCE);
    const ended = call('a2');
    call('a3')(0);
    ended(0);
    ended(0);
    expect(pace.size).toBe(1);
    clock.advance(2 * REFILL_MS);
    expect([pace.size, clock.pending]).toEqual([0, 0]);
    expect(begun).toEqual(['a1']);
    call('a4')(0);
    expect([pace.size, clock.pending]).toEqual([0, 0]);
  });
});

describe('a paced server', () => {
  const asItIs = (bytes: Buffer): Buffer => bytes;
  const length = {
    path: '/test.Sizes/Length',
    requestStream: false,
    responseStream: false,
    requestSerialize: asItIs,
    requestDeserialize: (bytes: Buffer) => {
      if (bytes[0] === 1) throw new Error('no request');
      return bytes;
    },
    responseSerialize: asItIs,
    responseDeserialize: asItIs,
  };
  const logger = createLogger({ level: 'silent', service: 'test' });
  let clock: FakeClock;
  let answered: number[];
  /** Calls that have come to the server, and that have ended there. */
  let come: number;
  let ended: number;
  let server: GrpcServer;
  let client: Client;
  beforeEach(async () => {
    clock = new FakeClock();
    answered = [];
    come = 0;
    ended = 0;
    const acts: ServerInterceptor = (_, call) =>
      new ServerInterceptingCall(call, {
        start: (next) =>
          next({
            onReceiveMetadata: (metadata, take) => {
              come++;
              take(metadata);
            },
            onCancel: () => void ended++,
          }),
      });
    const listen = { host: '127.0.0.1', port: 0 };
    server = new GrpcServer({ listen, setting: 'TEST', isPaced: true }, { logger, clock, acts });
    server.addService({ length }, {
      length: ({ request }: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
        answered.push(request.length);
        done(null, Buffer.from('read'));
      },
    } as never);
    client = new Client(`127.0.0.1:${await server.start()}`, credentials.createInsecure());
  });
  afterEach(async () => {
    client.close();
    await server.stop(0);
  });

  /** Sends the bytes; resolves with the call's status. */
  function send(bytes: Buffer, deadline = Number.POSITIVE_INFINITY) {
    let cancel = () => {};
    const code = new Promise<status>((resolve) => {
      const done = (error: ServiceError | null) => resolve(error?.code ?? status.OK);
      const made = client.makeUnaryRequest(length.path, asItIs, asItIs, bytes, { deadline }, done);
      cancel = () => made.cancel();
    });
    return { code, cancel };
  }

  // Limits: grpc/request-pace.ts MAX_SMALL_REQUEST_BYTES
  it('counts requests above 64 KiB, and none of 64 KiB', async () => {
    const idle = clock.pending;
    expect(await send(Buffer.alloc(64 * 1024)).code).toBe(status.OK);
    expect(clock.pending).toBe(idle);
    expect(await send(Buffer.alloc(64 * 1024 + 1)).code).toBe(status.OK);
    expect(clock.pending).toBe(idle + 1);
  });

  it.each([
    { of: 'requests', first: 0, code: status.OK },
    { of: 'bytes that are none', first: 1, code: status.INTERNAL },
  ])('reads the next call later after too many $of; that one may end before', async ({ first, code }) => {
    const idle = clock.pending;
    expect(await send(Buffer.alloc(MAX_REQUEST_BYTES_AT_ONCE + 1, first)).code).toBe(code);
    const read = answered.length;
    const late = send(Buffer.from('late'), Date.now() + 1000);
    expect(await late.code).toBe(status.DEADLINE_EXCEEDED);
    await until(() => ended === 2);
    const cancelled = send(Buffer.from('cancelled'));
    const waiting = send(Buffer.from('waits'));
    await until(() => come === 4);
    cancelled.cancel();
    expect(await cancelled.code).toBe(status.CANCELLED);
    await until(() => ended === 3);
    expect(answered).toHaveLength(read);
    await until(() => {
      clock.advance(1);
      return answered.length > read;
    });
    expect(await waiting.code).toBe(status.OK);
    expect(answered.slice(read)).toEqual([5]);
    clock.advance(REFILL_MS + 1);
    expect(clock.pending).toBe(idle);
  });
});
