import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { credentials, type ServiceError, status } from '@grpc/grpc-js';
import { TopologyClient } from '@spanmesh/proto/v1/topology';
import { afterEach, expect, it } from 'vitest';
import { createLogger } from '../log/logger.ts';
import { GrpcServer } from './grpc-server.ts';

const logger = createLogger({ level: 'silent', service: 'test' });
const made: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of made.splice(0).reverse()) await end();
});

async function serve(total: number, share: number): Promise<{ server: GrpcServer; port: number }> {
  const server = new GrpcServer(
    { listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST', connections: { total, share } },
    { logger },
  );
  const port = await server.start();
  made.push(() => server.stop(0));
  return { server, port };
}

async function silent(port: number, localAddress: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  socket.on('error', () => {}).resume();
  made.push(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** The status of a call, which shows whether the port serves. */
async function call(port: number): Promise<number> {
  const client = new TopologyClient(`127.0.0.1:${port}`, credentials.createInsecure());
  made.push(() => client.close());
  return new Promise((resolve) => {
    client.getStatus({}, (error: ServiceError | null) => resolve(error?.code ?? status.OK));
  });
}

// Limits: grpc/grpc-server.ts MAX_CONNECTIONS_PER_ADDRESS
it('gives an address its share of connections, whatever they send, and others the rest', async () => {
  const { server, port } = await serve(8, 3);
  const kept = await Promise.all([1, 2, 3].map(() => silent(port, '127.0.0.2')));
  const over = await silent(port, '127.0.0.2');
  await once(over, 'close');
  expect([server.connections.size, server.connections.refused]).toEqual([3, 1]);
  expect(await call(port)).toBe(status.UNIMPLEMENTED);
  expect(kept.every((socket) => !socket.destroyed)).toBe(true);
});

// Limits: grpc/grpc-server.ts MAX_CONNECTIONS
it('serves a newcomer when all are taken: the newest connection of the address with most is ended', async () => {
  const { server, port } = await serve(4, 3);
  const greedy = await Promise.all([1, 2, 3].map(() => silent(port, '127.0.0.2')));
  const other = await silent(port, '127.0.0.3');
  const gone = Promise.race(greedy.map((socket) => once(socket, 'close')));
  expect(await call(port)).toBe(status.UNIMPLEMENTED);
  await gone;
  expect(greedy.filter((socket) => socket.destroyed)).toHaveLength(1);
  expect(other.destroyed).toBe(false);
  expect(server.connections.size).toBe(4);
});

it('forgets connections that have ended, and ends all when it stops', async () => {
  const { server, port } = await serve(4, 3);
  for (let i = 0; i < 10; i++) {
    const socket = await silent(port, '127.0.0.2');
    const gone = once(socket, 'close');
    socket.end();
    await gone;
  }
  const last = await silent(port, '127.0.0.2');
  expect(await call(port)).toBe(status.UNIMPLEMENTED);
  const ended = once(last, 'close');
  await server.stop(0);
  await ended;
  expect(server.connections.size).toBe(0);
});
