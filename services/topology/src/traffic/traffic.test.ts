import { type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { ListTrafficRequest } from '@spanmesh/proto/v1/topology';
import {
  GatewayTrafficService,
  type ListGatewayTrafficRequest,
  ListGatewayTrafficResponse,
  TrafficCounters,
  TrafficKind,
} from '@spanmesh/proto/v1/traffic';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, describe, expect, it } from 'vitest';
import { FakeGateway } from '../testing/fake-gateway.fixture.ts';
import { FakeLeader } from '../testing/fake-leader.fixture.ts';
import { settle } from '../testing/world.fixture.ts';
import { Traffic } from './traffic.ts';

// Written once more: a change of them must be noticed.
const ASKED_AT_ONCE = 8;
const ASK_MS = 2000;
const IDLE_MS = 30_000;
const PAGE_MS = 3000;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

type Done = sendUnaryData<ListGatewayTrafficResponse>;

/** A gateway's service port: its traffic is that of the open connections, and of one class of routes. */
class FakeService {
  readonly asked: ListGatewayTrafficRequest[] = [];
  /** The most counters in one answer, whatever is asked for. */
  most = 500;
  /** Called instead of answering. */
  instead: ((done: Done) => void) | null = null;
  readonly #gateway: FakeGateway;

  constructor(gateway: FakeGateway) {
    this.#gateway = gateway;
  }

  async start(): Promise<string> {
    const logger = createLogger({ level: 'silent', service: 'test' });
    const server = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
    server.addService(GatewayTrafficService, {
      listGatewayTraffic: (
        { request }: ServerUnaryCall<ListGatewayTrafficRequest, ListGatewayTrafficResponse>,
        done: Done,
      ) => {
        this.asked.push(request);
        if (this.instead !== null) this.instead(done);
        else done(null, this.#answer(request));
      },
    });
    const port = await server.start();
    cleanups.push(() => server.stop(0));
    return `127.0.0.1:${port}`;
  }

  #answer({ pageSize, afterKind, afterId, kinds }: ListGatewayTrafficRequest): ListGatewayTrafficResponse {
    const { id, connections } = this.#gateway;
    const all = [
      ...[...connections.keys()].map((n) => ({ kind: TrafficKind.TRAFFIC_KIND_CONNECTION, id: `${id}:${n}` })),
      { kind: TrafficKind.TRAFFIC_KIND_ROUTE_CLASS, id: 'local' },
    ].filter(({ kind }) => kinds.length === 0 || kinds.includes(kind));
    const from = all.findIndex((one) => one.kind === afterKind && one.id === afterId) + 1;
    const page = all.slice(from, from + Math.min(pageSize, this.most));
    const counters = page.map((one) => TrafficCounters.fromPartial({ ...one, messagesIn: 2 ** 52, address: 'x:1' }));
    return { counters, more: from + page.length < all.length };
  }
}

/** A leader with gateways named `names`, each with this number of connections. */
async function installation(names: readonly string[], connections = 3) {
  const leader = new FakeLeader();
  const addresses = new Map<string, string>();
  const gateways: FakeGateway[] = [];
  const services: FakeService[] = [];
  for (const name of names) {
    const gateway = new FakeGateway(name);
    for (let i = 0; i < connections; i++) gateway.openConnection();
    const service = new FakeService(gateway);
    addresses.set(`${name}:1`, await service.start());
    gateways.push(gateway);
    services.push(service);
  }
  settle(leader, gateways);
  // A clock of its own, because the leader's clock has other timers.
  const clock = new FakeClock();
  const traffic = new Traffic({ address: ({ serviceAddress }) => addresses.get(serviceAddress) ?? '' }, { clock });
  cleanups.push(() => traffic.stop());
  const list = (request: Partial<ListTrafficRequest> = {}, isCancelled?: () => boolean) =>
    traffic.list(leader.core.state.trees, ListTrafficRequest.fromPartial(request), isCancelled);
  return { leader, gateways, services, addresses, clock, list };
}

async function allPages(list: (request: Partial<ListTrafficRequest>) => ReturnType<Traffic['list']>, pageSize: number) {
  const ids: string[] = [];
  let pages = 0;
  let pageToken = '';
  do {
    const page = await list({ pageSize, pageToken });
    expect(page.counters.length).toBeLessThanOrEqual(pageSize);
    ids.push(...page.counters.map(({ gateway, id }) => `${gateway} ${id}`));
    pageToken = page.nextPageToken;
    pages++;
  } while (pageToken !== '');
  return { ids, pages };
}

describe('the traffic of the whole installation', () => {
  it('is requested from every gateway, in order, and labelled by topology', async () => {
    const { gateways, list, leader } = await installation(['b', 'a']);
    const [b, a] = gateways as [FakeGateway, FakeGateway];
    const [first = 0, second = 0] = a.connections.keys();
    a.openLnkConn(second, 1);
    settle(leader, gateways);
    const { counters, silentGateways, nextPageToken } = await list();
    expect(counters.map(({ gateway, id }) => [gateway, id])).toEqual(
      [a, b].flatMap(({ id, connections }) => [
        ...[...connections.keys()].map((n) => [id, `${id}:${n}`]),
        [id, 'local'],
      ]),
    );
    expect(counters[0]).toMatchObject({ id: `${a.id}:${first}`, label: '', messagesIn: 2 ** 52, address: 'x:1' });
    expect(counters[1]!.label).not.toBe('');
    expect([silentGateways, nextPageToken]).toEqual([[], '']);
  });

  it.each([1, 2, 3, 4, 5, 7, 8, 100])('is the same in pages of %i', async (pageSize) => {
    const { services, list } = await installation(['a', 'b', 'c', 'd']);
    for (const service of services) service.most = 2;
    const whole = await list();
    const { ids, pages } = await allPages(list, pageSize);
    expect(ids).toEqual(whole.counters.map(({ gateway, id }) => `${gateway} ${id}`));
    expect(pages).toBeLessThanOrEqual(Math.ceil(16 / pageSize) + 1);
  });

  // Limits: traffic/limits.ts ASKED_AT_ONCE
  it('is requested from no more gateways at a time than fill the page, or than are allowed', async () => {
    const names = Array.from({ length: 20 }, (_, i) => `g-${String(i).padStart(2, '0')}`);
    const { services, list } = await installation(names);
    // Each gateway has counters of three connections and one class of routes.
    await list({ pageSize: 5 });
    expect(services.map(({ asked }) => asked.length)).toEqual([1, 1, ...Array(18).fill(0)]);
    let waiting: (() => void)[] = [];
    let most = 0;
    for (const service of services) {
      service.instead = (done) => {
        waiting.push(() => done(null, ListGatewayTrafficResponse.fromPartial({})));
        most = Math.max(most, waiting.length);
        if (waiting.length < ASKED_AT_ONCE && services.some(({ asked }) => asked.length === 0)) return;
        for (const answer of waiting) answer();
        waiting = [];
      };
      service.asked.length = 0;
    }
    await list();
    expect(services.every(({ asked }) => asked.length === 1)).toBe(true);
    expect(most).toBe(ASKED_AT_ONCE);
  });

  it('can be limited to one gateway or to some kinds', async () => {
    const { list, gateways } = await installation(['a', 'b']);
    const kinds = [TrafficKind.TRAFFIC_KIND_ROUTE_CLASS];
    const ids = async (request: Partial<ListTrafficRequest>) =>
      (await list(request)).counters.map(({ gateway, id }) => `${gateway} ${id}`);
    expect(await ids({ kinds })).toEqual(gateways.map(({ id }) => `${id} local`));
    expect(await ids({ kinds, gateway: 'b' })).toEqual([`${gateways[1]!.id} local`]);
    expect(await ids({ kinds, gateway: gateways[0]!.id })).toEqual([`${gateways[0]!.id} local`]);
    expect(await ids({ gateway: 'nobody' })).toEqual([]);
  });
});

describe('a gateway', () => {
  it.each([
    ['that has been cut off', ({ gateways }: World) => gateways[0]!.disconnect()],
    ['that cannot be called', ({ addresses }: World) => addresses.delete('a:1')],
    ['at whose address nobody is', ({ addresses }: World) => addresses.set('a:1', '127.0.0.1:1')],
    [
      'that is too old',
      ({ services }: World) => {
        services[0]!.instead = (done) => done({ code: status.UNIMPLEMENTED });
      },
    ],
  ])('%s is listed as silent', async (_why, away) => {
    const world = await installation(['a', 'b']);
    away(world);
    const { counters, silentGateways, nextPageToken } = await world.list();
    expect(silentGateways).toEqual([world.gateways[0]!.id]);
    expect(new Set(counters.map(({ gateway }) => gateway))).toEqual(new Set([world.gateways[1]!.id]));
    expect(nextPageToken).toBe('');
  });

  it('that does not answer delays its page only, and the other gateways come in the next page', async () => {
    const names = Array.from({ length: ASKED_AT_ONCE + 1 }, (_, i) => `g-${i}`);
    const { services, list, clock, gateways } = await installation(names);
    let asked = false;
    services[0]!.instead = () => {
      asked = true;
    };
    const page = list();
    // Two timers are left: that of this call, and that of unused connections.
    await until(() => asked && clock.pending === 2);
    clock.advance(ASK_MS);
    // As if the other calls had taken the rest of the page's time.
    clock.advance(PAGE_MS - ASK_MS);
    const { counters, silentGateways, nextPageToken } = await page;
    expect(silentGateways).toEqual([gateways[0]!.id]);
    expect(counters.length).toBe((ASKED_AT_ONCE - 1) * 4);
    const rest = await list({ pageToken: nextPageToken });
    expect([rest.counters.length, rest.silentGateways, rest.nextPageToken]).toEqual([4, [], '']);
  });

  it('is not kept a client for when nobody has asked for a while', async () => {
    const { list, clock } = await installation(['a']);
    await list();
    clock.advance(IDLE_MS - 1);
    await list();
    clock.advance(1);
    expect(clock.pending).toBe(1);
    clock.advance(IDLE_MS);
    expect(clock.pending).toBe(0);
  });
});

// Causes: code traffic/traffic.ts INVALID_ARGUMENT
it.each([
  Buffer.from(JSON.stringify([1])).toString('base64url'),
  Buffer.from(JSON.stringify(['a', 4, 'x'])).toString('base64url'),
  Buffer.from(JSON.stringify(['a', 1, 2])).toString('base64url'),
  'nonsense',
])('%s is not accepted as a token', async (pageToken) => {
  const { list } = await installation(['a']);
  await expect(list({ pageToken })).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
});

it('a call that was cancelled is not answered', async () => {
  const { list } = await installation(['a']);
  await expect(list({}, () => true)).rejects.toMatchObject({ code: status.CANCELLED });
});

type World = Awaited<ReturnType<typeof installation>>;
