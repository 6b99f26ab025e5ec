import { Client, credentials, type ServerDuplexStream, type ServiceError, status } from '@grpc/grpc-js';
import { afterEach, expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import { createLogger } from '../log/logger.ts';
import { GrpcServer } from './grpc-server.ts';

type Call = ServerDuplexStream<number, number>;

const numbers = {
  path: '/test.Numbers/Talk',
  requestStream: true,
  responseStream: true,
  requestSerialize: (value: number) => Buffer.from(String(value)),
  requestDeserialize: (bytes: Buffer) => Number(bytes.toString()),
  responseSerialize: (value: number) => {
    if (value > 2 ** 32 - 1) throw new RangeError('too large');
    return Buffer.from(String(value));
  },
  responseDeserialize: (bytes: Buffer) => Number(bytes.toString()),
} as const;

let server: GrpcServer;
let client: Client;
afterEach(async () => {
  client.close();
  await server.stop(0);
});

async function talking(handler: (call: Call) => void) {
  const lines: { what?: string; suppressed?: number }[] = [];
  const clock = new FakeClock();
  const destination = { write: (line: string) => lines.push(JSON.parse(line) as object) };
  const logger = createLogger({ level: 'error', service: 'test', destination });
  server = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger, clock });
  server.addService({ talk: numbers }, { talk: handler });
  client = new Client(`127.0.0.1:${await server.start()}`, credentials.createInsecure());
  /** Sends the numbers; resolves with the numbers received, and the final status. */
  const talk = (sent: readonly number[]) =>
    new Promise<{ heard: number[]; code: status }>((resolve) => {
      const { path, requestSerialize, responseDeserialize } = numbers;
      const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
      const heard: number[] = [];
      stream.on('data', (value: number) => heard.push(value));
      stream.on('error', (error: ServiceError) => resolve({ heard, code: error.code }));
      stream.on('end', () => resolve({ heard, code: status.OK }));
      for (const value of sent) stream.write(value);
      stream.end();
    });
  return { talk, lines, clock };
}

// Causes: code grpc/guarded-service.ts INTERNAL
it('a message that cannot be encoded costs its stream, which is told to its handler, and is logged once an interval', async () => {
  let cancelled = 0;
  const { talk, lines, clock } = await talking((call) => {
    call.on('data', (value: number) => call.write(value));
    call.on('end', () => call.end());
    call.on('cancelled', () => cancelled++);
  });
  expect(await talk([1, 2 ** 32])).toEqual({ heard: [1], code: status.INTERNAL });
  for (let i = 0; i < 3; i++) expect(await talk([2 ** 40])).toEqual({ heard: [], code: status.INTERNAL });
  expect(cancelled).toBeGreaterThanOrEqual(3);
  expect(await talk([1, 2])).toEqual({ heard: [1, 2], code: status.OK });
  expect(lines).toMatchObject([{ what: 'message-not-encoded', method: numbers.path }]);
  clock.advance(10_000);
  await talk([2 ** 40]);
  expect(lines.map(({ suppressed }) => suppressed)).toEqual([0, 3]);
});

it('a message whose handler throws ends its stream, and is logged once an interval', async () => {
  const { talk, lines } = await talking((call) => {
    call.on('data', (value: number) => {
      if (value === 13) throw new Error('no');
      call.write(value);
    });
    call.on('end', () => call.end());
  });
  for (let i = 0; i < 3; i++) expect(await talk([12, 13, 13, 14])).toMatchObject({ code: status.INTERNAL });
  expect(await talk([1, 2])).toEqual({ heard: [1, 2], code: status.OK });
  expect(lines).toMatchObject([{ what: 'handler-threw', method: numbers.path }]);
});
