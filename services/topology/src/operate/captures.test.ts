import { EventEmitter } from 'node:events';
import { Metadata, Server, ServerCredentials, type ServerWritableStream, status } from '@grpc/grpc-js';
import { type CaptureMessagesRequest, CaptureMessagesResponse, CaptureService } from '@spanmesh/proto/v1/capture';
import type { CaptureConnectionResponse } from '@spanmesh/proto/v1/topology';
import { USER_HEADER } from '@spanmesh/runtime/access/gate';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FakeGateway } from '../testing/fake-gateway.fixture.ts';
import { FakeLeader } from '../testing/fake-leader.fixture.ts';
import { settle } from '../testing/world.fixture.ts';
import { Captures } from './captures.ts';

// Written once more: a change of them must be noticed.
const MAX_CAPTURES_PASSED = 16;

type Upstream = ServerWritableStream<CaptureMessagesRequest, CaptureMessagesResponse>;

/** The gateway's side: the calls received; `onCall` is called with each. */
const gateway = { calls: [] as Upstream[], onCall: (_: Upstream): void => {} };
const server = new Server();
let address = '';
const cleanups: (() => void)[] = [];

beforeAll(async () => {
  server.addService(CaptureService, {
    captureMessages: (call: Upstream) => {
      gateway.calls.push(call);
      gateway.onCall(call);
    },
  } as never);
  address = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(`127.0.0.1:${port}`) : reject(error),
    );
  });
});
afterAll(() => server.forceShutdown());
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
  gateway.calls.length = 0;
  gateway.onCall = () => {};
});

/** A user's call; it records the messages and how it ended. */
class Call extends EventEmitter {
  readonly metadata = new Metadata();
  readonly got: CaptureConnectionResponse[] = [];
  readonly request: { connection: string; count: number; durationMs: number; snaplen: number };
  readonly ended: Promise<{ code: status; details: string } | null>;
  accepts = true;
  readonly #end: (error: { code: status; details: string } | null) => void;

  constructor(connection: string, durationMs = 1000) {
    super();
    this.request = { connection, count: 5, durationMs, snaplen: 64 };
    const { promise, resolve } = Promise.withResolvers<{ code: status; details: string } | null>();
    this.ended = promise;
    this.#end = resolve;
    this.on('error', resolve);
    this.metadata.set(USER_HEADER, 'ada');
  }

  getPeer(): string {
    return '192.0.2.9:1';
  }

  write(response: CaptureConnectionResponse): boolean {
    this.got.push(response);
    this.emit('written');
    return this.accepts;
  }

  end(): void {
    this.#end(null);
  }
}

function installation({ at = () => address } = {}) {
  const leader = new FakeLeader();
  const a = new FakeGateway('a');
  const connection = `${a.id}:${a.openConnection()}`;
  settle(leader, [a]);
  const captures = new Captures(leader.core.state.trees, { address: at });
  cleanups.push(() => captures.endAll('the test is over'));
  const capture = (text = connection, durationMs?: number) => {
    const call = new Call(text, durationMs);
    captures.capture(call as unknown as Parameters<typeof captures.capture>[0]);
    return call;
  };
  return { leader, a, connection, captures, capture };
}

const once = (emitter: EventEmitter, event: string) => new Promise((resolve) => emitter.once(event, resolve));

describe('a capture', () => {
  it('passes on the gateway’s messages, names the connection once, and ends when the gateway’s call ends', async () => {
    const { capture, connection } = installation();
    gateway.onCall = (call) => {
      for (let i = 0; i < 2; i++) call.write(CaptureMessagesResponse.fromPartial({}));
      call.end();
    };
    const call = capture();
    expect(await call.ended).toBeNull();
    expect(call.got.map((one) => one.connection?.id)).toEqual([connection, undefined]);
    expect(gateway.calls[0]!.request).toEqual({
      connection: Number(connection.split(':')[1]),
      count: 5,
      durationMs: 1000,
      snaplen: 64,
      by: 'ada from 192.0.2.9',
    });
  });

  // Causes: code operate/captures.ts UNAVAILABLE
  it('ends at the gateway when nobody looks on any more, and when this replica does not lead', async () => {
    const { capture, captures } = installation();
    const came = new Promise<Upstream>((resolve) => {
      gateway.onCall = resolve;
    });
    const call = capture();
    const upstream = await came;
    const cancelled = once(upstream, 'cancelled');
    call.emit('cancelled');
    await cancelled;
    const second = new Promise<Upstream>((resolve) => {
      gateway.onCall = resolve;
    });
    const other = capture();
    const ended = once(await second, 'cancelled');
    captures.endAll('it does not lead');
    expect(await other.ended).toMatchObject({ code: status.UNAVAILABLE, details: 'it does not lead' });
    await ended;
  });

  it('waits for a user who does not read', async () => {
    const { capture } = installation();
    const came = new Promise<Upstream>((resolve) => {
      gateway.onCall = resolve;
    });
    const call = capture();
    call.accepts = false;
    const upstream = await came;
    const first = once(call, 'written');
    for (let i = 0; i < 3; i++) upstream.write(CaptureMessagesResponse.fromPartial({}));
    await first;
    expect(call.got).toHaveLength(1);
    call.accepts = true;
    upstream.end();
    call.emit('drain');
    expect(await call.ended).toBeNull();
    expect(call.got).toHaveLength(3);
  });

  it.each([
    [status.UNIMPLEMENTED, 'too old to capture'],
    [status.UNAVAILABLE, 'cannot be reached from here: because'],
    [status.NOT_FOUND, 'because'],
  ])('that the gateway refuses with status %i fails, with the reason', async (code, details) => {
    const { capture } = installation();
    gateway.onCall = (call) => call.emit('error', { code, details: 'because' });
    expect(await capture().ended).toMatchObject({ code, details: expect.stringContaining(details) });
  });

  it('of an unknown connection, or at a gateway that is not attached, is refused', () => {
    const { leader, a, capture } = installation();
    expect(() => capture('a.00000001:999')).toThrow(expect.objectContaining({ code: status.NOT_FOUND }));
    expect(() => capture('')).toThrow(expect.objectContaining({ code: status.INVALID_ARGUMENT }));
    const unavailable = expect.objectContaining({ code: status.UNAVAILABLE });
    expect(() => installation({ at: () => '' }).capture()).toThrow(unavailable);
    a.disconnect();
    leader.core.flush();
    expect(() => capture()).toThrow(unavailable);
  });

  // Limits: operate/captures.ts MAX_CAPTURES_PASSED
  // Causes: code operate/captures.ts RESOURCE_EXHAUSTED
  it('is one of sixteen at a time', async () => {
    const { capture } = installation();
    const calls = Array.from({ length: MAX_CAPTURES_PASSED }, () => capture());
    expect(() => capture()).toThrow(expect.objectContaining({ code: status.RESOURCE_EXHAUSTED }));
    calls[0]!.emit('cancelled');
    expect(await calls[0]!.ended).toMatchObject({ code: status.CANCELLED });
    expect(() => capture()).not.toThrow();
  });

  // Limits: operate/captures.ts MAX_CAPTURE_MS
  // Causes: code operate/captures.ts INVALID_ARGUMENT
  it('lasts an hour at most', () => {
    const { capture, connection } = installation();
    expect(() => capture(connection, 3_600_000)).not.toThrow();
    expect(() => capture(connection, 3_600_001)).toThrow(expect.objectContaining({ code: status.INVALID_ARGUMENT }));
  });
});
