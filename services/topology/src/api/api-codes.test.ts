import { EventEmitter } from 'node:events';
import { Metadata, status } from '@grpc/grpc-js';
import { apiPrincipal } from '@spanmesh/runtime/access/api-principal';
import { describe, expect, it } from 'vitest';
import { FakeGateway } from '../testing/fake-gateway.fixture.ts';
import { FakeLeader } from '../testing/fake-leader.fixture.ts';
import { ANY } from '../testing/requests.fixture.ts';
import { settle } from '../testing/world.fixture.ts';

// Written once more: a change of them must be noticed.
const MAX_ANSWERS_PER_USER = 256;
const MAX_TRAFFIC_ANSWERS_PER_USER = 32;
const MAX_TREES_PER_USER = 4;
const MAX_WATCHES_PER_USER = 500;

const USER = '192.0.2.1';
const REQUEST = {
  ...ANY,
  pageSize: 0,
  kinds: [],
  revision: '',
  withRelays: false,
  reason: '',
  order: '',
  share: 1,
  deadlineMs: 0,
  count: 0,
  durationMs: 0,
  snaplen: 0,
};

/** A call of the API, without a server. */
class Call extends EventEmitter {
  readonly metadata = new Metadata();
  readonly request: object;
  readonly sent: object[] = [];
  readonly about: Metadata[] = [];
  cancelled = false;
  accepts = true;

  constructor(request: object = {}) {
    super();
    this.request = { ...REQUEST, ...request };
  }

  getPeer(): string {
    return `${USER}:1`;
  }

  sendMetadata(metadata: Metadata): void {
    this.about.push(metadata);
  }

  write(message: object): boolean {
    this.sent.push(message);
    return this.accepts;
  }

  end(): void {
    this.emit('end');
  }
}

type Methods = FakeLeader['core']['api']['implementation'];
type Handler = (call: Call, callback: (error: { code: status } | null, answer?: object) => void) => void;

/** The code with which a call ends; 0: it is answered, or is a stream that has begun. */
function ask(leader: FakeLeader, method: keyof Methods, call = new Call()): Promise<status> {
  const run = leader.core.api.implementation[method] as unknown as Handler;
  return new Promise((resolve) => {
    call.on('error', ({ code }: { code: status }) => resolve(code));
    call.on('end', () => resolve(status.OK));
    run(call, (error) => resolve(error?.code ?? status.OK));
    if (method === 'watch') setImmediate(() => resolve(status.OK));
  });
}

const READS = [
  'listClusters',
  'listNodes',
  'listLinks',
  'listConnections',
  'listRelays',
  'explain',
  'listTraffic',
  'getTree',
  'watch',
] as const;
const ORDERS = ['drainGateway', 'closeConnection', 'captureConnection'] as const;

describe('where nobody leads and nothing is known', () => {
  // Causes: code topology/src/api/api.ts UNAVAILABLE
  it.each([...READS, ...ORDERS])('%s is UNAVAILABLE', async (method) => {
    const leader = new FakeLeader({ leads: false });
    leader.lose();
    expect(await ask(leader, method)).toBe(status.UNAVAILABLE);
    expect(leader.core.api.watches).toBe(0);
  });

  it('GetStatus is answered', async () => {
    const leader = new FakeLeader({ leads: false });
    leader.lose();
    expect(await ask(leader, 'getStatus')).toBe(status.OK);
  });
});

describe('at a leader whose lease does not hold', () => {
  it.each(ORDERS)('%s is UNAVAILABLE', async (method) => {
    const leader = new FakeLeader();
    settle(leader, [new FakeGateway('a')]);
    leader.freeze();
    expect(await ask(leader, method, new Call({ gateway: 'a', connection: 'a.00000001:1' }))).toBe(status.UNAVAILABLE);
  });

  it('reads are answered, with their age', async () => {
    const leader = new FakeLeader();
    settle(leader, [new FakeGateway('a')]);
    leader.freeze();
    leader.clock.advance(1500);
    const call = new Call();
    expect(await ask(leader, 'listClusters', call)).toBe(status.OK);
    expect(JSON.stringify(call.about[0]?.getMap())).toMatch(/frozen.*1500|1500.*frozen/);
  });
});

describe('a user that has used up the share of one user', () => {
  it.each([
    ['listClusters', 'answers', MAX_ANSWERS_PER_USER],
    ['listTraffic', 'answers about traffic', MAX_TRAFFIC_ANSWERS_PER_USER],
    ['getTree', 'trees', MAX_TREES_PER_USER],
    ['watch', 'watches', MAX_WATCHES_PER_USER],
  ] as const)('of %s gets RESOURCE_EXHAUSTED, and is answered when one has ended', async (method, kind, share) => {
    const leader = new FakeLeader();
    settle(leader, [new FakeGateway('a')]);
    const { api } = leader.core;
    const principal = apiPrincipal(new Call() as never);
    const held = Array.from({ length: share }, () => api.shares.begin(kind, principal));
    expect(await ask(leader, method)).toBe(status.RESOURCE_EXHAUSTED);
    expect(api.shares.held(kind)).toBe(share);
    held[0]?.();
    expect(await ask(leader, method, new Call({ revision: leader.core.history.revision }))).toBe(status.OK);
    await new Promise((resolve) => setImmediate(resolve));
    // A watch remains open, an answer is complete.
    expect(api.shares.held(kind)).toBe(share - (method === 'watch' ? 0 : 1));
  });
});

describe('an answer', () => {
  it('to a call that was cancelled is CANCELLED', async () => {
    const leader = new FakeLeader();
    settle(leader, [new FakeGateway('a')]);
    const call = new Call();
    call.cancelled = true;
    expect(await ask(leader, 'listClusters', call)).toBe(status.CANCELLED);
  });

  it('about an unknown object is NOT_FOUND, with an invalid name INVALID_ARGUMENT', async () => {
    const leader = new FakeLeader();
    const a = new FakeGateway('a');
    const connection = `${a.id}:${a.openConnection()}`;
    settle(leader, [a]);
    expect(await ask(leader, 'explain', new Call({ node: 'x', connection }))).toBe(status.NOT_FOUND);
    expect(await ask(leader, 'explain', new Call({ node: '', connection }))).toBe(status.INVALID_ARGUMENT);
    expect(await ask(leader, 'getTree', new Call({ clusterId: 'x' }))).toBe(status.INVALID_ARGUMENT);
    expect(await ask(leader, 'closeConnection', new Call({ connection: 'x' }))).toBe(status.NOT_FOUND);
    expect(await ask(leader, 'captureConnection', new Call({ connection: 'x' }))).toBe(status.NOT_FOUND);
    expect(await ask(leader, 'drainGateway', new Call({ gateway: 'x' }))).toBe(status.NOT_FOUND);
    expect(leader.core.api.shares.held('trees')).toBe(0);
  });

  it('that fails because of an internal fault is INTERNAL, and leaves no share in use', async () => {
    const leader = new FakeLeader();
    settle(leader, [new FakeGateway('a')]);
    leader.core.state.trees.tree.clustersOf = () => {
      throw new Error('a fault');
    };
    expect(await ask(leader, 'listClusters')).toBe(status.INTERNAL);
    await new Promise((resolve) => setImmediate(resolve));
    expect(leader.core.api.shares.held('answers')).toBe(0);
  });
});
