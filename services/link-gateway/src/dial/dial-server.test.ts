import { EventEmitter } from 'node:events';
import { status } from '@grpc/grpc-js';
import { DialRequest, HangupRequest, WatchMediaRequest, type WatchMediaResponse } from '@spanmesh/proto/v1/dial';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { LinkGatewayError } from '../gateway-error.ts';
import { MAX_DIAL_OWNERS, MAX_MEDIA_WATCHES } from '../limits.ts';
import type { Peer } from '../peers/peer.ts';
import { DialServer } from './dial-server.ts';
import type { Order } from './dialled-connection.ts';
import { MediaEvents } from './media-events.ts';
import { Orders } from './orders.ts';

const LONGEST_OWNER = 'x'.repeat(256);
const LONGEST_MS = 600_000;

/** The server's end of WatchMedia. */
class FakeWatch extends EventEmitter {
  readonly request: WatchMediaRequest;
  readonly written: WatchMediaResponse[] = [];
  refusal: { code: status } | null = null;

  constructor(epoch: number) {
    super();
    this.request = WatchMediaRequest.fromPartial({ epoch });
    this.on('error', (refusal: { code: status }) => {
      this.refusal = refusal;
    });
  }

  write(response: WatchMediaResponse): boolean {
    this.written.push(response);
    return true;
  }
}

describe('orders to dial', () => {
  let orders: Orders;
  let events: MediaEvents;
  let server: DialServer;
  /** Orders that were taken. */
  let taken: Order[];
  /** What the next order fails with. */
  let failure: LinkGatewayError | null;
  beforeEach(() => {
    taken = [];
    failure = null;
    const clock = new FakeClock();
    events = new MediaEvents();
    const dialler = { dial: () => new Promise(() => {}) };
    orders = new Orders({ dialler: dialler as never, events, clock });
    const options = { gateway: () => 'gw.1', firstBoot: '1', connectTimeout: 5000 };
    vi.spyOn(orders, 'dial').mockImplementation(async (order) => {
      taken.push(order);
      if (failure !== null) throw failure;
      return { connection: { id: 7, remote: '192.0.2.1:987' } } as Peer;
    });
    const logger = createLogger({ level: 'silent', service: 'test' });
    const tables = { lnkConns: new Map() };
    server = new DialServer(options, { orders, events, tables: tables as never, clock, logger });
  });

  /** Dials, and returns the status of the answer. */
  function dial(more: Partial<DialRequest> = {}): Promise<status> {
    const order = { owner: 'a', epoch: 1, generation: 1, host: '192.0.2.1', port: 987, ...more };
    return new Promise((resolve) => {
      const call = { request: DialRequest.fromPartial(order) };
      server.implementation.dial(call as never, (error) => resolve(error?.code ?? status.OK));
    });
  }

  function watch(epoch = 1): FakeWatch {
    const call = new FakeWatch(epoch);
    server.implementation.watchMedia(call as never);
    return call;
  }

  // Limits: dial/dial-server.ts MAX_OWNER_CHARS
  it.each(['owner', 'mediaId', 'principal'] as const)('have a %s of 256 characters at most', async (which) => {
    expect(await dial({ [which]: LONGEST_OWNER })).toBe(status.OK);
    expect(await dial({ [which]: `${LONGEST_OWNER}x` })).toBe(status.INVALID_ARGUMENT);
    expect(taken).toHaveLength(1);
  });

  it('have their label cut to 256 characters', async () => {
    await dial({ label: `${LONGEST_OWNER}y` });
    expect(taken[0]?.label).toBe(LONGEST_OWNER);
  });

  // Limits: dial/dial-server.ts MAX_TIMEOUT_MS
  it('wait for ten minutes at most, and for as long as the setting says unless they say how long', async () => {
    const waits = async (connectTimeoutMs: number, answerTimeoutMs: number) => {
      await dial({ connectTimeoutMs, answerTimeoutMs });
      const { connectTimeout, answerTimeout } = taken.pop()!;
      return [connectTimeout, answerTimeout];
    };
    expect(await waits(LONGEST_MS, LONGEST_MS)).toEqual([LONGEST_MS, LONGEST_MS]);
    expect(await waits(LONGEST_MS + 1, LONGEST_MS + 1)).toEqual([LONGEST_MS, LONGEST_MS]);
    expect(await waits(0, 0)).toEqual([5000, 0]);
  });

  it.each<Partial<DialRequest>>([
    { owner: '' },
    { epoch: 0 },
    { generation: 0 },
    { port: 0 },
    { port: 65536 },
    { host: 'no host' },
    { host: '192.0.2.1:1' },
  ])('are refused with %j', async (more) => {
    expect(await dial(more)).toBe(status.INVALID_ARGUMENT);
    expect(taken).toEqual([]);
  });

  it('take names, and addresses of both families, at any port', async () => {
    for (const host of ['disks.example', '192.0.2.1', '2001:db8::1']) expect(await dial({ host })).toBe(status.OK);
    for (const port of [1, 65535]) expect(await dial({ port })).toBe(status.OK);
  });

  it.each([
    [new LinkGatewayError('order', { why: 'stale-epoch', epoch: 9 }), status.FAILED_PRECONDITION],
    [new LinkGatewayError('order', { why: 'superseded' }), status.ABORTED],
    [new LinkGatewayError('order', { why: 'too-many' }), status.RESOURCE_EXHAUSTED],
    [new LinkGatewayError('order', { why: 'failed', failure: 'unanswered' }), status.DEADLINE_EXCEEDED],
    [new LinkGatewayError('order', { why: 'failed', failure: 'refused' }), status.UNAVAILABLE],
  ])('that fail say so by their status (%#)', async (error, code) => {
    failure = error;
    expect(await dial()).toBe(code);
  });

  // Limits: link-gateway/src/limits.ts MAX_DIAL_OWNERS
  it('are remembered of MAX_DIAL_OWNERS owners, and forgotten when a new leader comes', async () => {
    for (let n = 0; n < MAX_DIAL_OWNERS; n++) await orders.hangup({ owner: `${n}`, epoch: 1, generation: 1 });
    expect(orders.size).toBe(100_000);
    await orders.hangup({ owner: 'one more', epoch: 1, generation: 1 });
    expect(orders.size).toBe(100_000);
    orders.checkEpoch(2);
    expect([orders.size, orders.epoch]).toEqual([0, 2]);
  });

  it('of a leader whose term is over are refused, and its watches end', async () => {
    const former = watch(1);
    const other = watch(2);
    expect([former.refusal?.code, other.refusal]).toEqual([status.FAILED_PRECONDITION, null]);
    expect(watch(1).refusal).toMatchObject({ code: status.FAILED_PRECONDITION });
    expect(server.watches).toBe(1);
  });

  it('to hang up need a valid owner and epoch', async () => {
    const hangup = (more: Partial<HangupRequest>) =>
      new Promise((resolve) => {
        const call = { request: HangupRequest.fromPartial({ owner: 'a', epoch: 1, generation: 1, ...more }) };
        server.implementation.hangup(call as never, (error, answer) => resolve(error?.code ?? answer));
      });
    expect(await hangup({})).toEqual({ closed: false });
    expect(await hangup({ owner: '' })).toBe(status.INVALID_ARGUMENT);
    expect(await hangup({ owner: `${LONGEST_OWNER}x` })).toBe(status.INVALID_ARGUMENT);
    expect(await hangup({ epoch: 0 })).toBe(status.INVALID_ARGUMENT);
  });

  // Limits: link-gateway/src/limits.ts MAX_MEDIA_WATCHES
  it('are watched by MAX_MEDIA_WATCHES at most: the oldest watch ends', () => {
    const watches = Array.from({ length: MAX_MEDIA_WATCHES }, () => watch());
    expect(watches.every(({ refusal }) => refusal === null)).toBe(true);
    const newest = watch();
    expect(watches.map(({ refusal }) => refusal?.code)).toEqual([
      status.RESOURCE_EXHAUSTED,
      ...Array.from({ length: MAX_MEDIA_WATCHES - 1 }, () => undefined),
    ]);
    expect([newest.refusal, server.watches, events.listeners.size]).toEqual([
      null,
      MAX_MEDIA_WATCHES,
      MAX_MEDIA_WATCHES,
    ]);
    watches[1]!.emit('cancelled');
    expect([server.watches, events.listeners.size]).toEqual([MAX_MEDIA_WATCHES - 1, MAX_MEDIA_WATCHES - 1]);
    server.stop();
    expect(newest.refusal).toMatchObject({ code: status.UNAVAILABLE });
    expect([server.watches, events.listeners.size]).toEqual([0, 0]);
  });
});
