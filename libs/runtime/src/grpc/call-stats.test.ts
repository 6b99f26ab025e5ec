import { type ChannelCredentials, Client, credentials, type ServiceDefinition, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogger } from '../log/logger.ts';
import { CallStats } from './call-stats.ts';
import { GrpcServer } from './grpc-server.ts';

const text = (value: string): Buffer => Buffer.from(value);
const codec = {
  requestSerialize: text,
  requestDeserialize: String,
  responseSerialize: text,
  responseDeserialize: String,
};
const service = {
  say: { path: '/test.Echo/Say', requestStream: false, responseStream: false, ...codec },
  listen: { path: '/test.Echo/Listen', requestStream: false, responseStream: true, ...codec },
} satisfies ServiceDefinition;

type Answer = (error: { code: status } | null, value?: string) => void;
type Stream = { write(value: string): void; once(event: string, fn: () => void): void };

let stats: CallStats;
let server: GrpcServer;
let client: Client;
let closed: Promise<void>;

beforeEach(async () => {
  stats = new CallStats({ clock: { now: () => 0 } });
  server = new GrpcServer(
    { listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' },
    { logger: createLogger({ level: 'silent', service: 'test' }), calls: stats },
  );
  const { promise, resolve } = Promise.withResolvers<void>();
  closed = promise;
  server.addService(service, {
    say: ({ request }: { request: string }, answer: Answer) =>
      request === 'no' ? answer({ code: status.NOT_FOUND }) : answer(null, request),
    listen: (call: Stream) => {
      call.once('cancelled', resolve);
      call.write('one');
    },
  });
  const insecure: ChannelCredentials = credentials.createInsecure();
  client = new Client(`127.0.0.1:${await server.start()}`, insecure);
});

afterEach(async () => {
  client.close();
  await server.stop(100);
});

const say = (what: string): Promise<number> =>
  new Promise((resolve) => {
    const { path } = service.say;
    client.makeUnaryRequest(path, text, String, what, (error) => resolve(error?.code ?? status.OK));
  });

describe('CallStats', () => {
  it('counts calls by method and code, and measures them', async () => {
    expect([await say('yes'), await say('no'), await say('yes')]).toEqual([status.OK, status.NOT_FOUND, status.OK]);
    expect([...stats.counts()]).toEqual([
      { labels: { method: 'test.Echo/Say', code: 'OK' }, value: 2 },
      { labels: { method: 'test.Echo/Say', code: 'NOT_FOUND' }, value: 1 },
    ]);
    expect([...stats.seconds()].map(([method, { count }]) => [method, count])).toEqual([['test.Echo/Say', 3]]);
  });

  it('counts a stream that its caller leaves, without measuring it', async () => {
    const stream = client.makeServerStreamRequest(service.listen.path, text, String, 'please');
    stream.on('error', () => {});
    await new Promise((resolve) => stream.once('data', resolve));
    stream.cancel();
    await closed;
    expect([...stats.counts()]).toEqual([{ labels: { method: 'test.Echo/Listen', code: 'CANCELLED' }, value: 1 }]);
    expect([...stats.seconds()]).toEqual([]);
  });
});
