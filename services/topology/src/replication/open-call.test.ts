import { once } from 'node:events';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { type FollowRequest, type FollowResponse, ReplicationService } from '@spanmesh/proto/v1/replication';
import { PLAINTEXT } from '@spanmesh/runtime/grpc/grpc-client';
import { expect, it } from 'vitest';
import { openCall } from './open-call.ts';

it('a call to the leader ends there when it is closed', async () => {
  const server = new Server();
  const came = Promise.withResolvers<ServerDuplexStream<FollowRequest, FollowResponse>>();
  server.addService(ReplicationService, { follow: came.resolve });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  const call = openCall(`127.0.0.1:${port}`, PLAINTEXT);
  const ended = new Promise((resolve) => call.stream.on('error', resolve));
  call.stream.write({ hello: undefined, ack: undefined });
  const atLeader = await came.promise;
  const cancelled = once(atLeader, 'cancelled');
  call.close();
  await cancelled;
  expect(String(await ended)).toMatch(/CANCELLED/);
  server.forceShutdown();
});
