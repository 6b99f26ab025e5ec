import { credentials } from '@grpc/grpc-js';
import { TopologyClient, TopologyService } from '@spanmesh/proto/v1/topology';
import { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { afterEach } from 'vitest';
import type { FakeLeader } from './fake-leader.fixture.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A client of the leader's API, over a socket, until the test is over. */
export async function served(leader: FakeLeader): Promise<TopologyClient> {
  const logger = createLogger({ level: 'silent', service: 'test' });
  const server = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
  server.addService(TopologyService, leader.core.api.implementation);
  const port = await server.start();
  cleanups.push(() => server.stop(0));
  const client = new TopologyClient(`127.0.0.1:${port}`, credentials.createInsecure());
  cleanups.push(() => client.close());
  return client;
}
