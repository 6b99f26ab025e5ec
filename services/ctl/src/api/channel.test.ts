import { credentials } from '@grpc/grpc-js';
import {
  ListClustersRequest,
  ListClustersResponse,
  TopologyClient,
  TopologyService,
} from '@spanmesh/proto/v1/topology';
import { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { expect, it } from 'vitest';
import { CHANNEL_OPTIONS, callUnary, MAX_ANSWER_BYTES } from './channel.ts';

// Limits: api/channel.ts MAX_ANSWER_BYTES
it('takes an answer of 16 MiB, and no larger one', async () => {
  // The field of the answer begins with 5 bytes: tag and length.
  const largest = 'x'.repeat(MAX_ANSWER_BYTES - 5);
  const answers = [largest, `${largest}x`];
  const server = new GrpcServer(
    { listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' },
    { logger: createLogger({ level: 'silent', service: 'test' }) },
  ).addService(TopologyService, {
    listClusters: (_: unknown, done: (error: null, answer: ListClustersResponse) => void) =>
      done(null, ListClustersResponse.fromPartial({ nextPageToken: answers.shift() ?? '' })),
  });
  const address = `127.0.0.1:${await server.start()}`;
  const client = new TopologyClient(address, credentials.createInsecure(), CHANNEL_OPTIONS);
  try {
    const context = { address, timeoutMs: 60_000, service: 'spanmesh.v1.Topology' };
    const list = () =>
      callUnary<ListClustersRequest, ListClustersResponse>(
        client.listClusters.bind(client),
        ListClustersRequest.create(),
        context,
      );
    expect((await list()).nextPageToken).toHaveLength(largest.length);
    await expect(list()).rejects.toThrow(/larger/);
  } finally {
    client.close();
    await server.stop(0);
  }
});
