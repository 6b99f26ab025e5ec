import { ListTargetsRequest, VolconfClient, VolconfService } from '@spanmesh/proto/v1/volconf';
import { afterEach, expect, it, vi } from 'vitest';
import { createLogger } from '../log/logger.ts';
import { createClient } from './grpc-client.ts';
import { GrpcServer } from './grpc-server.ts';

afterEach(() => void vi.unstubAllEnvs());

it('a client of a service uses no proxy, whatever the environment says', async () => {
  // Where nobody listens.
  for (const name of ['grpc_proxy', 'http_proxy', 'https_proxy']) vi.stubEnv(name, 'http://127.0.0.1:1');
  for (const name of ['no_grpc_proxy', 'no_proxy']) vi.stubEnv(name, '');
  const logger = createLogger({ level: 'silent', service: 'test' });
  const server = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
  const { listTargets } = VolconfService;
  server.addService(
    { listTargets },
    {
      listTargets: (_: unknown, done: (error: null, answer: object) => void) =>
        done(null, { targets: [], nextPageToken: 'reached' }),
    },
  );
  const client = createClient(VolconfClient, `127.0.0.1:${await server.start()}`);
  const said = await new Promise((resolve) =>
    client.listTargets(ListTargetsRequest.create(), (error, answer) => resolve(error ?? answer.nextPageToken)),
  );
  client.close();
  await server.stop(0);
  expect(said).toBe('reached');
});
