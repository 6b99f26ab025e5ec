import { type ServiceError, status } from '@grpc/grpc-js';
import {
  type CloseConnectionResponse,
  type DrainGatewayResponse,
  type GetStatusResponse,
  ListConnectionsRequest,
  type ListConnectionsResponse,
  type TopologyClient,
} from '@spanmesh/proto/v1/topology';
import { until } from '@spanmesh/runtime/patience.fixture';
import { describe, expect, it } from 'vitest';
import { FakeGateway } from '../testing/fake-gateway.fixture.ts';
import { FakeLeader } from '../testing/fake-leader.fixture.ts';
import { served } from '../testing/served-api.fixture.ts';
import { settle } from '../testing/world.fixture.ts';

// Written once more: a change of them must be noticed.
const MAX_FOLLOWED = 200;
const MAX_RUNNING = 8;

/** A leader with an API, and two gateways; `a` has four connections. */
async function installation() {
  const leader = new FakeLeader();
  const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
  const connections = [1, 2, 3, 4].map(() => a.openConnection());
  settle(leader, [a, b]);
  const client = await served(leader);
  return { leader, a, b, client, connections };
}

/** A call of DrainGateway; it records the messages and how it ended. */
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
  it('sends the order once, and follows the drain to its end', async () => {
    const { leader, a, b, client } = await installation();
    const first = drain(client, { gateway: 'a', share: 0.5 });
    await until(() => {
      settle(leader, [a, b]);
      return first.got.length === 1;
    });
    expect(a.ordered).toEqual([{ order: 'o-1', sharePermille: 500, deadlineMs: 2000 }]);
    expect(b.ordered).toEqual([]);
    const again = drain(client, { gateway: a.id, share: 0.5 });
    await until(() => again.got.length === 1);
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

  it('sends an order again that was lost with the stream', async () => {
    const { leader, a, b, client } = await installation();
    const followed = drain(client, { gateway: 'a', share: 1 });
    // The order was written, but the stream breaks before the gateway reads it.
    await until(() => {
      leader.core.flush();
      return a.stream!.sent.length > a.read;
    });
    a.disconnect();
    settle(leader, [a, b]);
    await until(() => followed.got.length === 1);
    expect(followed.got[0]).toMatchObject({ chosen: 4, done: false });
    expect(a.ordered.map(({ order }) => order)).toEqual(['o-1']);
  });

  // Causes: code operate/find-gateway.ts INVALID_ARGUMENT
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
  // Causes: code operate/drains.ts INVALID_ARGUMENT
  it('accepts a deadline of a day, and names that limit in the error for a longer one', async () => {
    const { leader, a, b, client } = await installation();
    const longer = await drain(client, { gateway: 'a', share: 1, deadlineMs: 86_400_001 }).ended;
    expect([longer?.code, longer?.details]).toEqual([status.INVALID_ARGUMENT, expect.stringContaining('86400000 ms')]);
    const longest = drain(client, { gateway: 'a', share: 1, deadlineMs: 86_400_000 });
    await until(() => {
      settle(leader, [a, b]);
      return longest.got.length === 1;
    });
    expect(a.ordered).toMatchObject([{ deadlineMs: 86_400_000 }]);
  });

  // Limits: operate/drains.ts MAX_RUNNING
  // Causes: code operate/drains.ts RESOURCE_EXHAUSTED
  it('is refused while a gateway runs eight, and taken when one of them is done', async () => {
    const { leader, a, b, client } = await installation();
    for (let i = 0; i < MAX_RUNNING; i++) {
      a.progress({ order: `d${i}`, chosen: 1, closed: 0, cut: 0, done: i === 0 });
    }
    settle(leader, [a, b]);
    const eighth = drain(client, { gateway: 'a', share: 1, order: 'eighth' });
    await until(() => {
      settle(leader, [a, b]);
      return eighth.got.length === 1;
    });
    const ninth = await drain(client, { gateway: 'a', share: 1, order: 'ninth' }).ended;
    expect(ninth).toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      details: expect.stringContaining(`runs ${MAX_RUNNING}`),
    });
    // Further calls may follow a drain that is running.
    const again = drain(client, { gateway: 'a', share: 1, order: 'eighth' });
    await until(() => again.got.length === 1);
    a.progress({ order: 'd1', chosen: 1, closed: 1, cut: 0, done: true });
    settle(leader, [a, b]);
    const next = drain(client, { gateway: 'a', share: 1, order: 'ninth' });
    await until(() => {
      settle(leader, [a, b]);
      return next.got.length === 1;
    });
    expect(a.ordered.map(({ order }) => order)).toEqual(['eighth', 'ninth']);
  });

  // Limits: operate/drains.ts MAX_FOLLOWED
  it('may be followed by a limited number of calls; a cancelled one makes room', () => {
    const leader = new FakeLeader();
    const { core } = leader;
    const a = new FakeGateway('a');
    settle(leader, [a]);
    const failed: { code: status; details: string }[] = [];
    const follow = () => {
      let cancelled = (): void => {};
      const call = {
        request: { gateway: 'a', share: 1, order: 'o', deadlineMs: 0 },
        write: () => true,
        end: () => {},
        emit: (_: 'error', error: Error) => failed.push(error as never) > 0,
        on: (_: 'cancelled', fn: () => void) => {
          cancelled = fn;
        },
      };
      core.drains.drain(call as unknown as Parameters<typeof core.drains.drain>[0]);
      return () => cancelled();
    };
    const cancels = Array.from({ length: MAX_FOLLOWED }, follow);
    expect(follow).toThrow(expect.objectContaining({ code: status.RESOURCE_EXHAUSTED }));
    cancels[0]?.();
    expect(follow).not.toThrow();
    core.drains.endAll('it stops');
    expect(failed).toHaveLength(MAX_FOLLOWED);
    expect(failed[0]).toMatchObject({ code: status.UNAVAILABLE, details: 'it stops' });
  });

  it('has an id of up to 64 characters; without one it is given an id', async () => {
    const { leader, a, b, client } = await installation();
    const longest = 'x'.repeat(64);
    expect((await drain(client, { gateway: 'a', share: 1, order: `${longest}x` }).ended)?.code).toBe(
      status.INVALID_ARGUMENT,
    );
    const calls = [longest, ''].map((order) => drain(client, { gateway: 'a', share: 0.0001, order }));
    await until(() => {
      settle(leader, [a, b]);
      return calls.every(({ got }) => got.length === 1);
    });
    expect(a.ordered.map(({ order, sharePermille }) => [order.length > 0, sharePermille])).toEqual([
      [true, 1],
      [true, 1],
    ]);
    expect(calls.map(({ got }) => got[0]?.order)).toEqual([longest, expect.stringMatching(/^1-[0-9]+$/)]);
  });

  // Causes: code operate/drains.ts UNAVAILABLE
  it('fails while the leader may not command, and when the gateway goes', async () => {
    const { leader, a, b, client } = await installation();
    leader.lease.valid = false;
    expect((await drain(client, { gateway: 'a', share: 1 }).ended)?.code).toBe(status.UNAVAILABLE);
    leader.lease.valid = true;
    const followed = drain(client, { gateway: 'a', share: 1 });
    await until(() => {
      settle(leader, [a, b]);
      return followed.got.length === 1;
    });
    for (const id of [...a.connections.keys()]) a.closeConnection(id);
    settle(leader, [a, b]);
    a.stream!.emit('end');
    expect(await followed.ended).toMatchObject({ code: status.UNAVAILABLE, details: expect.stringContaining(a.id) });
  });
});

describe('CloseConnection', () => {
  it('gives the order to the gateway, and the reason to users who list connections', async () => {
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

  // Limits: operate/close-connection.ts MAX_REASON_CHARS
  // Causes: code operate/close-connection.ts INVALID_ARGUMENT
  it('takes a reason of 200 characters, or none', async () => {
    const { leader, a, b, client, connections } = await installation();
    const longest = 'x'.repeat(200);
    await close(client, `${a.id}:${connections[0]}`, longest);
    await close(client, `${a.id}:${connections[1]}`);
    await expect(close(client, `${a.id}:${connections[2]}`, `${longest}x`)).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
    settle(leader, [a, b]);
    expect(a.closing.map(({ reason }) => reason)).toEqual([`by an operator: ${longest}`, 'by an operator']);
  });

  // Causes: code operate/find-gateway.ts UNAVAILABLE
  it('and DrainGateway fail while the gateway is not attached', async () => {
    const { leader, a, client, connections } = await installation();
    a.disconnect();
    leader.core.flush();
    const unavailable = { code: status.UNAVAILABLE, details: expect.stringContaining('is not attached') };
    await expect(close(client, `${a.id}:${connections[0]}`)).rejects.toMatchObject(unavailable);
    expect(await drain(client, { gateway: 'a', share: 1 }).ended).toMatchObject(unavailable);
  });

  // Causes: code operate/find-gateway.ts NOT_FOUND, operate/find-gateway.ts FAILED_PRECONDITION
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
