import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import {
  DialRequest,
  type DialResponse,
  DialService,
  HangupRequest,
  type HangupResponse,
  type WatchMediaRequest,
  WatchMediaResponse,
} from '@spanmesh/proto/v1/dial';
import { PLAINTEXT } from '@spanmesh/runtime/grpc/grpc-client';
import { TRACE_HEADER } from '@spanmesh/runtime/trace/trace-context';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CALL_MARGIN_MS, HANGUP_CALL_MS } from '../limits.ts';
import type { OrderError } from './gateway-port.ts';
import { GrpcGatewayPort } from './grpc-gateway-port.ts';

/** The fake gateway: how it will answer, and the requests that it received. */
const gateway = {
  refusal: null as { code: status; details: string; metadata?: Metadata } | null,
  dials: [] as { request: DialRequest; deadlineMs: number; trace: unknown }[],
  hangups: [] as { request: HangupRequest; deadlineMs: number }[],
  watches: [] as ServerWritableStream<WatchMediaRequest, WatchMediaResponse>[],
};
const server = new Server();
let address = '';
const ports: GrpcGatewayPort[] = [];

beforeAll(async () => {
  const deadlineOf = (call: { getDeadline(): Date | number }) => new Date(call.getDeadline()).getTime() - Date.now();
  server.addService(DialService, {
    dial(call: ServerUnaryCall<DialRequest, DialResponse>, callback: sendUnaryData<DialResponse>) {
      const [trace] = call.metadata.get(TRACE_HEADER);
      gateway.dials.push({ request: call.request, deadlineMs: deadlineOf(call), trace });
      if (gateway.refusal === null) callback(null, { connection: 5, remoteAddress: '192.0.2.9:987' });
      else callback(gateway.refusal);
    },
    hangup(call: ServerUnaryCall<HangupRequest, HangupResponse>, callback: sendUnaryData<HangupResponse>) {
      gateway.hangups.push({ request: call.request, deadlineMs: deadlineOf(call) });
      if (gateway.refusal === null) callback(null, { closed: true });
      else callback(gateway.refusal);
    },
    watchMedia(call: ServerWritableStream<WatchMediaRequest, WatchMediaResponse>) {
      gateway.watches.push(call);
      if (gateway.refusal !== null) call.emit('error', gateway.refusal);
      else call.write(WatchMediaResponse.create({ gateway: 'gw.1' }));
    },
  } as unknown as Record<string, (call: ServerDuplexStream<object, object>) => void>);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  address = `127.0.0.1:${port}`;
});

afterEach(() => {
  for (const port of ports.splice(0)) port.close();
  gateway.refusal = null;
  gateway.dials.length = 0;
  gateway.hangups.length = 0;
  gateway.watches.length = 0;
});
afterAll(() => server.forceShutdown());

function open(deps?: ConstructorParameters<typeof GrpcGatewayPort>[2], at = address): GrpcGatewayPort {
  const port = new GrpcGatewayPort(at, PLAINTEXT, deps);
  ports.push(port);
  return port;
}

const DIAL = DialRequest.create({
  owner: 'a',
  epoch: 7,
  generation: 2,
  host: 'host',
  port: 987,
  connectTimeoutMs: 20_000,
  answerTimeoutMs: 30_000,
  label: 'far',
});
const HANGUP = HangupRequest.create({ owner: 'a', epoch: 7, generation: 2, reason: 'not wanted any more' });

function refusal(code: status, entries: Record<string, string> = {}) {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(entries)) metadata.set(key, value);
  return { code, details: 'because', metadata };
}

/** Opens a watch, and records its messages and how it ended. */
function watch(port: GrpcGatewayPort, onMessage = (_: WatchMediaResponse): void => {}) {
  const told: string[] = [];
  const { promise: ended, resolve } = Promise.withResolvers<OrderError>();
  const { promise: first, resolve: came } = Promise.withResolvers<void>();
  const stream = port.watch(7, {
    message: (response) => {
      told.push(response.gateway);
      came();
      onMessage(response);
    },
    ended: (error) => {
      told.push('ended');
      resolve(error);
    },
  });
  return { told, ended, first, stream };
}

describe('an order to a gateway', () => {
  it('to dial has a deadline of the attempt’s time and a margin', async () => {
    expect(await open().dial(DIAL)).toEqual({ connection: 5, remoteAddress: '192.0.2.9:987' });
    const [{ request, deadlineMs, trace }] = gateway.dials as [(typeof gateway.dials)[0]];
    expect([request, trace]).toEqual([DIAL, undefined]);
    expect(deadlineMs).toBeLessThanOrEqual(50_000 + CALL_MARGIN_MS);
    expect(deadlineMs).toBeGreaterThan(50_000);
  });

  it('to hang up has a deadline that suffices for a peer that does not read', async () => {
    await open().hangup(HANGUP);
    const [{ request, deadlineMs }] = gateway.hangups as [(typeof gateway.hangups)[0]];
    expect(request).toEqual(HANGUP);
    expect(deadlineMs).toBeLessThanOrEqual(HANGUP_CALL_MS);
    expect(deadlineMs).toBeGreaterThan(0);
  });

  it('is part of a trace, if tracing is on, which ends with the answer', async () => {
    const ends: unknown[] = [];
    const begun: unknown[] = [];
    const context = new Uint8Array(25).fill(0xab);
    const tracer = {
      begin: (name: string, fields: unknown) => {
        begun.push(name, fields);
        return { context, end: (error?: string) => ends.push(error) };
      },
    };
    const port = open({ tracing: { tracer } as never });
    await port.dial(DIAL);
    expect(begun).toEqual([
      'target dialled',
      { kind: 'client', attributes: { 'server.address': 'host', 'server.port': 987, 'spanmesh.target': 'far' } },
    ]);
    expect(gateway.dials[0]!.trace).toContain('ab'.repeat(16));
    gateway.refusal = refusal(status.UNAVAILABLE);
    await expect(port.dial(DIAL)).rejects.toThrow();
    expect(ends).toEqual([undefined, 'because']);
  });
});

describe('the answer of a gateway is', () => {
  it.each([
    [
      'certain, if it says what came of the attempt',
      status.UNAVAILABLE,
      { 'spanmesh-dial-failure': 'refused' },
      'failed',
      0,
    ],
    ['a later leader’s epoch', status.FAILED_PRECONDITION, { 'spanmesh-epoch': '12' }, 'stale-epoch', 12],
    ['a later order', status.ABORTED, {}, 'superseded', 0],
    ['not known, if it may come from the way to it', status.UNAVAILABLE, {}, 'unknown', 0],
    ['not known, if it names no epoch', status.FAILED_PRECONDITION, {}, 'unknown', 0],
    ['not known, if the epoch is none', status.FAILED_PRECONDITION, { 'spanmesh-epoch': 'x' }, 'unknown', 0],
    ['not known, if an epoch comes with something else', status.INTERNAL, { 'spanmesh-epoch': '12' }, 'unknown', 0],
  ])('%s', async (_, code, entries, expected, epoch) => {
    gateway.refusal = refusal(code, entries);
    const port = open();
    const message = expected === 'unknown' ? 'the gateway could not be asked: because' : 'because';
    const error = { name: 'OrderError', code: expected, epoch, message };
    await expect(port.dial(DIAL)).rejects.toMatchObject(error);
    await expect(port.hangup(HANGUP)).rejects.toMatchObject(error);
    expect(await watch(port).ended).toMatchObject(error);
  });

  it('unknown if there is no gateway', async () => {
    await expect(open({}, '127.0.0.1:1').hangup(HANGUP)).rejects.toMatchObject({ code: 'unknown' });
  });
});

describe('a watch of a gateway', () => {
  it('receives messages, and ends when the gateway ends it', async () => {
    const { told, ended, first } = watch(open());
    await first;
    expect(gateway.watches[0]!.request).toEqual({ epoch: 7 });
    gateway.watches[0]!.end();
    expect(await ended).toMatchObject({ code: 'unknown', message: 'the gateway ended the watch' });
    expect(told).toEqual(['gw.1', 'ended']);
  });

  it('receives nothing more once it is cancelled', async () => {
    const port = open();
    const { told, first, stream } = watch(port);
    await first;
    const cancelled = new Promise((resolve) => gateway.watches[0]!.on('cancelled', resolve));
    stream.cancel();
    await cancelled;
    // Any message of the cancelled watch would have come before the answer to this call on the same connection.
    await port.hangup(HANGUP);
    expect(told).toEqual(['gw.1']);
  });

  it('that receives an invalid message ends, and reports it once', async () => {
    const cause = new RangeError('what is this');
    const port = open();
    const { told, ended } = watch(port, () => {
      throw cause;
    });
    expect(await ended).toMatchObject({ code: 'unknown', cause });
    await port.hangup(HANGUP);
    expect(told).toEqual(['gw.1', 'ended']);
  });

  it('ends when the port is closed', async () => {
    const port = open();
    const { ended, first } = watch(port);
    await first;
    port.close();
    gateway.watches[0]!.end();
    expect(await ended).toMatchObject({ code: 'unknown' });
    await expect(port.dial(DIAL)).rejects.toThrow();
  });
});
