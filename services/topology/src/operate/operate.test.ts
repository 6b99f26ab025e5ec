import { credentials, type ServiceError, status } from '@grpc/grpc-js';
import {
  type CloseConnectionResponse,
  type DrainGatewayResponse,
  type GetStatusResponse,
  ListConnectionsRequest,
  type ListConnectionsResponse,
  TopologyClient,
  TopologyService,
} from '@spanmesh/proto/v1/topology';
import { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { PATIENCE } from '@spanmesh/runtime/patience.fixture';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { FakeGateway, FakeLeader, settle } from '../testing/world.fixture.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A leader with an API, and two gateways; `a` has four connections. */
async function installation() {
  const leader = new FakeLeader();
  const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
  const connections = [1, 2, 3, 4].map(() => a.openConnection());
  settle(leader, [a, b]);
  const logger = createLogger({ level: 'silent', service: 'test' });
  const server = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
  server.addService(TopologyService, leader.core.api.implementation);
  const port = await server.start();
  cleanups.push(() => server.stop(0));
  const client = new TopologyClient(`127.0.0.1:${port}`, credentials.createInsecure());
  cleanups.push(() => client.close());
  return { leader, a, b, client, connections };
}

/** A DrainGateway call: what has come, and how it ended. */
function drain(
  client: TopologyClient,
  request: { gateway: string; share: number; order?: string; deadlineMs?: number },
) {
  const call = client.drainGateway({ order: 'o-1', deadlineMs: 2000, ...request });
  const got: DrainGatewayResponse[] = [];
  const ended = Promise.withResolvers<ServiceError | null>();
  call.on('data', (response) => got.push(response));
  call.on('end', () => ended.resolve(null));
  call.on('error', (error: ServiceError) => ended.resolve(error));
  return { call, got, ended: ended.promise };
}

function close(client: TopologyClient, connection: string, reason = ''): Promise<CloseConnectionResponse> {
  return new Promise((resolve, reject) => {
    client.closeConnection({ connection, reason }, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

describe('DrainGateway', () => {
  it('orders it once, and follows it to the end', async () => {
    const { leader, a, b, client } = await installation();
    const first = drain(client, { gateway: 'a', share: 0.5 });
    await vi.waitUntil(() => {
      settle(leader, [a, b]);
      return first.got.length === 1;
    }, PATIENCE);
    expect(a.ordered).toEqual([{ order: 'o-1', sharePermille: 500, deadlineMs: 2000 }]);
    expect(b.ordered).toEqual([]);
    const again = drain(client, { gateway: a.id, share: 0.5 });
    await vi.waitUntil(() => again.got.length === 1, PATIENCE);
    a.progress({ order: 'o-1', chosen: 2, closed: 1, cut: 1, done: true });
    settle(leader, [a, b]);
    expect([await first.ended, await again.ended]).toEqual([null, null]);
    expect(first.got.map(({ closed, cut, done }) => [closed, cut, done])).toEqual([
      [0, 0, false],
      [1, 1, true],
    ]);
    expect(again.got.at(-1)).toEqual({ order: 'o-1', gateway: a.id, chosen: 2, closed: 1, cut: 1, done: true });
    expect(a.ordered).toHaveLength(1);
  });

  it('says an order again that was lost with the stream', async () => {
    const { leader, a, b, client } = await installation();
    const followed = drain(client, { gateway: 'a', share: 1 });
    // Commanded, and not read: the stream breaks first.
    await vi.waitUntil(() => {
      leader.core.flush();
      return a.stream!.sent.length > a.read;
    }, PATIENCE);
    a.disconnect();
    settle(leader, [a, b]);
    await vi.waitUntil(() => followed.got.length === 1, PATIENCE);
    expect(followed.got[0]).toMatchObject({ chosen: 4, done: false });
    expect(a.ordered.map(({ order }) => order)).toEqual(['o-1']);
  });

  it.each([
    ['nobody', 0.5, '', status.NOT_FOUND],
    ['a', 0, '', status.INVALID_ARGUMENT],
    ['a', 1.01, '', status.INVALID_ARGUMENT],
    ['a', Number.NaN, '', status.INVALID_ARGUMENT],
    ['a', 0.5, 'a b', status.INVALID_ARGUMENT],
    ['', 0.5, '', status.INVALID_ARGUMENT],
    ['old', 0.5, '', status.FAILED_PRECONDITION],
  ])('of %j, share %d, order %j fails', async (gateway, share, order, code) => {
    const { leader, a, client } = await installation();
    const old = new FakeGateway('old');
    old.capabilities = [];
    settle(leader, [a, old]);
    expect((await drain(client, { gateway, share, order }).ended)?.code).toBe(code);
    expect([...a.ordered, ...old.ordered]).toEqual([]);
  });

  // Limits: operate/drains.ts MAX_DRAIN_MS
  it('takes a deadline of a day, and names that bound to whoever asks for more', async () => {
    const { leader, a, b, client } = await installation();
    const longer = await drain(client, { gateway: 'a', share: 1, deadlineMs: 86_400_001 }).ended;
    expect([longer?.code, longer?.details]).toEqual([status.INVALID_ARGUMENT, expect.stringContaining('86400000 ms')]);
    const longest = drain(client, { gateway: 'a', share: 1, deadlineMs: 86_400_000 });
    await vi.waitUntil(() => {
      settle(leader, [a, b]);
      return longest.got.length === 1;
    }, PATIENCE);
    expect(a.ordered).toMatchObject([{ deadlineMs: 86_400_000 }]);
  });

  it('fails while the leader may not command, and when the gateway goes', async () => {
    const { leader, a, b, client } = await installation();
    leader.lease.valid = false;
    expect((await drain(client, { gateway: 'a', share: 1 }).ended)?.code).toBe(status.UNAVAILABLE);
    leader.lease.valid = true;
    const followed = drain(client, { gateway: 'a', share: 1 });
    await vi.waitUntil(() => {
      settle(leader, [a, b]);
      return followed.got.length === 1;
    }, PATIENCE);
    for (const id of [...a.connections.keys()]) a.closeConnection(id);
    settle(leader, [a, b]);
    a.stream!.emit('end');
    expect(await followed.ended).toMatchObject({ code: status.UNAVAILABLE, details: expect.stringContaining(a.id) });
  });
});

describe('CloseConnection', () => {
  it('tells the gateway, and those who look on why', async () => {
    const { leader, a, b, client, connections } = await installation();
    const { connection } = await close(client, `${a.id}:${connections[0]}`, 'moves to rack 7');
    expect(connection).toMatchObject({ id: `${a.id}:${connections[0]}`, closing: '' });
    settle(leader, [a, b]);
    const reason = 'by an operator: moves to rack 7';
    expect(a.closing).toEqual([{ connection: connections[0], reason, inOrder: true }]);
    const list = await new Promise<ListConnectionsResponse>((resolve, reject) => {
      const request = ListConnectionsRequest.fromPartial({ gateway: 'a' });
      client.listConnections(request, (error, answer) => (error ? reject(error) : resolve(answer)));
    });
    expect(list.connections.map(({ closing }) => closing)).toEqual([reason, '', '', '']);
  });

  it('fails for one that is not there, for one of an old gateway, and for a reason of two lines', async () => {
    const { leader, a, client, connections } = await installation();
    const old = new FakeGateway('old');
    old.capabilities = [];
    const its = old.openConnection();
    settle(leader, [a, old]);
    await expect(close(client, 'a.00000001:999')).rejects.toMatchObject({ code: status.NOT_FOUND });
    await expect(close(client, `${old.id}:${its}`)).rejects.toMatchObject({ code: status.FAILED_PRECONDITION });
    const invalid = { code: status.INVALID_ARGUMENT };
    await expect(close(client, `${a.id}:${connections[0]}`, 'a\nb')).rejects.toMatchObject(invalid);
    await expect(close(client, `${a.id}:${connections[0]}`, 'a'.repeat(201))).rejects.toMatchObject(invalid);
    expect([...a.closing, ...old.closing]).toEqual([]);
  });
});

it('GetStatus says which gateways are going to stop', async () => {
  const { leader, a, b, client } = await installation();
  a.stops();
  settle(leader, [a, b]);
  const { gateways } = await new Promise<GetStatusResponse>((resolve, reject) => {
    client.getStatus({}, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
  expect(gateways.map(({ name, draining }) => [name, draining])).toEqual([
    ['a', true],
    ['b', false],
  ]);
});
