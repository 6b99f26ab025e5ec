import { type ServiceError, status } from '@grpc/grpc-js';
import { CIRCUIT } from '@spanmesh/dmsg/dialect';
import { encodeMessage } from '@spanmesh/dmsg/message';
import {
  CaptureClient,
  type CapturedMessage,
  type CaptureMessagesRequest,
  CaptureService,
} from '@spanmesh/proto/v1/capture';
import { createClient } from '@spanmesh/runtime/grpc/grpc-client';
import { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CAPTURE_BYTES, MAX_CAPTURE_MS, MAX_CAPTURES } from '../limits.ts';
import { TestGateway } from '../testing/gateway.fixture.ts';
import type { RawPeer } from '../testing/raw-peer.fixture.ts';
import { Capture, type CaptureStream, type Tapped } from './capture.ts';

const PING = 0x00000101;
const PING_REPLY = 0x20000101;
const SHELL = 0x00100101;

let made: TestGateway;
let server: GrpcServer;
let client: CaptureClient;

beforeEach(async () => {
  made = await TestGateway.start();
  const logger = createLogger({ level: 'silent', service: 'test' });
  server = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
  server.addService(CaptureService, made.gateway.captureImplementation);
  client = createClient(CaptureClient, `127.0.0.1:${await server.start()}`);
});

afterEach(async () => {
  client.close();
  await server.stop(0);
  await made.stop();
});

/** A peer, and the number of its connection. */
async function peerOf(): Promise<{ peer: RawPeer; connection: number }> {
  const known = made.attach.delta.connectionsOpened.length;
  const { peer } = await made.established('circuit');
  return { peer, connection: made.attach.delta.connectionsOpened[known]!.id };
}

/** A capture that has begun: what has come, and how it ended. */
async function capture(request: Partial<CaptureMessagesRequest>) {
  const whole = { connection: 0, count: 0, durationMs: 0, snaplen: 0, by: 'ann from 127.0.0.1', ...request };
  const call = client.captureMessages(whole);
  const messages: CapturedMessage[] = [];
  const state = { dropped: 0, why: '' };
  const ended = Promise.withResolvers<ServiceError | null>();
  const begun = Promise.withResolvers<void>();
  call.on('data', (part) => {
    messages.push(...part.messages);
    state.dropped = part.dropped;
    state.why = part.ended;
    begun.resolve();
  });
  call.on('end', () => ended.resolve(null));
  call.on('error', (error: ServiceError) => ended.resolve(error));
  await Promise.race([begun.promise, ended.promise]);
  return { call, messages, state, ended: ended.promise };
}

const words = (messages: readonly CapturedMessage[]) =>
  messages.map(({ sent, data }) => [sent, Buffer.from(data).readUInt32LE(32)]);

/** One PING and its answer. */
async function ping(peer: RawPeer): Promise<void> {
  peer.say({ cmd: PING });
  await peer.next();
}

describe('A capture', () => {
  it('has what the gateway reads and writes, each message whole, and ends when it has as many as were wanted', async () => {
    const { peer, connection } = await peerOf();
    const { messages, state, ended } = await capture({ connection, count: 4 });
    await ping(peer);
    await ping(peer);
    expect(await ended).toBeNull();
    expect(words(messages)).toEqual([
      [false, PING],
      [true, PING_REPLY],
      [false, PING],
      [true, PING_REPLY],
    ]);
    expect(messages.map(({ length, missedBytes }) => [length, missedBytes])).toEqual(Array(4).fill([64, 0]));
    expect(state).toEqual({ dropped: 0, why: 'as many messages as were asked for have been captured' });
    // The capture has ended: these messages are not in it.
    await ping(peer);
    const lines = made.log.filter(({ msg }) => /captur/.test(String(msg)));
    expect(lines).toMatchObject([
      { connection, by: 'ann from 127.0.0.1' },
      { connection, messages: 4, dropped: 0 },
    ]);
  });

  it('gives the first `snaplen` bytes of each message if that is enough', async () => {
    const { peer, connection } = await peerOf();
    const { messages, ended } = await capture({ connection, count: 1, snaplen: 20 });
    peer.say({ cmd: SHELL, aux: Buffer.from('help\0'.padEnd(64, '\0')) });
    expect(await ended).toBeNull();
    expect(messages.map(({ data, length }) => [data.length, length])).toEqual([[20, 128]]);
  });

  it('begins with the next whole message of the peer', () => {
    const got: boolean[] = [];
    const connection: Tapped = { dialect: 'circuit', tap: null };
    const stream: CaptureStream = {
      write: ({ messages }) => {
        got.push(...messages.map(({ sent }) => sent));
        return true;
      },
      end: () => {},
      destroy: () => {},
    };
    const request = { count: 0, durationMs: 0, snaplen: 0 };
    const whole = new Capture(connection, request, { clock: made.clock, stream, over: () => {} });
    const message = encodeMessage({ rules: CIRCUIT, cmd: PING, salt: 0 });
    // The end of a message whose beginning was read before the capture began.
    connection.tap?.read(message.subarray(30), 30);
    connection.tap?.read(message, 0);
    connection.tap?.wrote([message.subarray(0, 5), message.subarray(5)]);
    whole.end('enough');
    expect([got, connection.tap]).toEqual([[false, true], null]);
  });

  // Limits: capture/captures.ts MAX_BY_CHARS
  it.each([200, 201])('says in the log who has ordered it, in 200 characters at most (%i)', async (chars) => {
    const { connection } = await peerOf();
    const { call } = await capture({ connection, by: 'x'.repeat(chars) });
    expect(made.log.filter(({ by }) => by !== undefined)).toMatchObject([{ by: 'x'.repeat(200) }]);
    call.cancel();
  });

  // Limits: link-gateway/src/limits.ts MAX_CAPTURE_MS
  it('lasts an hour at most, however long it is wanted', async () => {
    const { connection } = await peerOf();
    const { state, ended } = await capture({ connection, durationMs: MAX_CAPTURE_MS + 1 });
    made.clock.advance(MAX_CAPTURE_MS - 1);
    expect(state.why).toBe('');
    made.clock.advance(1);
    expect([await ended, state.why]).toEqual([null, 'its time is over']);
  });

  it('ends with its time, with its connection, and with its caller', async () => {
    const { peer, connection } = await peerOf();
    const timed = await capture({ connection });
    made.clock.advance(MAX_CAPTURE_MS);
    expect([await timed.ended, timed.state.why]).toEqual([null, 'its time is over']);
    const left = await capture({ connection });
    left.call.cancel();
    expect((await left.ended)?.code).toBe(status.CANCELLED);
    // The gateway hears a moment later that the caller has gone.
    await until(() => made.log.filter(({ msg }) => msg === 'capture has ended').length === 2);
    const last = await capture({ connection });
    peer.socket.end();
    expect([await last.ended, last.state.why]).toEqual([null, 'the connection has ended: peer-closed']);
  });

  // Limits: link-gateway/src/limits.ts MAX_CAPTURES
  // Causes: code link-gateway/src/capture/captures.ts NOT_FOUND, link-gateway/src/capture/captures.ts RESOURCE_EXHAUSTED
  it('is refused on a connection that has one, and past MAX_CAPTURES in all', async () => {
    const peers = await Promise.all(Array.from({ length: MAX_CAPTURES + 1 }, () => peerOf()));
    const [first, ...others] = peers.map(({ connection }) => connection);
    const running = [await capture({ connection: first! })];
    expect(await (await capture({ connection: first! })).ended).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    for (const connection of others.slice(0, MAX_CAPTURES - 1)) running.push(await capture({ connection }));
    expect(await (await capture({ connection: others.at(-1)! })).ended).toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
    expect(await (await capture({ connection: 123_456 })).ended).toMatchObject({ code: status.NOT_FOUND });
    for (const { call } of running) call.cancel();
  });

  // Limits: link-gateway/src/limits.ts CAPTURE_BYTES
  it('drops what its caller does not read, counts it, and the connection does not wait', async () => {
    const { peer, connection } = await peerOf();
    const { call, messages, state, ended } = await capture({ connection });
    call.pause();
    const aux = Buffer.alloc(1024 * 1024, 0x61);
    // Far past what a capture holds, and what gRPC and the kernel hold besides.
    for (let i = 0; i < (8 * CAPTURE_BYTES) / aux.length; i++) {
      peer.say({ cmd: PING, aux });
      await peer.next();
    }
    call.resume();
    // Once the caller reads again, the capture goes on, and says how many bytes it has missed.
    peer.socket.end();
    expect(await ended).toBeNull();
    expect(state.dropped).toBeGreaterThan(0);
    const missed = messages.reduce((sum, message) => sum + message.missedBytes, 0);
    expect(messages.length + state.dropped).toBeGreaterThanOrEqual((2 * 8 * CAPTURE_BYTES) / aux.length);
    expect(missed).toBeGreaterThan(0);
  });
});
