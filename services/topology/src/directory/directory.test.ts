import { credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import {
  DirectoryClient,
  DirectoryService,
  type FindClusterResponse,
  type FindNodeResponse,
} from '@spanmesh/proto/v1/directory';
import type { NodeSelector } from '@spanmesh/proto/v1/messaging';
import { Dialect } from '@spanmesh/proto/v1/types';
import { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { afterEach, describe, expect, it } from 'vitest';
import { FakeGateway } from '../testing/fake-gateway.fixture.ts';
import { FakeLeader } from '../testing/fake-leader.fixture.ts';
import { uuid } from '../testing/payloads.fixture.ts';
import { settle } from '../testing/world.fixture.ts';

// Written once more: a change of them must be noticed.
const MAX_FOUND_LINKS = 64;
const MAX_WAITING = 20_000;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Longer than any test. */
const PATIENCE_MS = 60_000;
const CLUSTER = { dialect: Dialect.DIALECT_CIRCUIT, id: uuid(1), peerType: 1, peerLabel: 'cluster' };
const named = (node: string, clusterId = '', dialect: Dialect = Dialect.DIALECT_UNSPECIFIED): NodeSelector => ({
  key: undefined,
  dialect,
  clusterId,
  node,
});
const exactly = (node: number): NodeSelector => ({
  ...named(''),
  key: { cluster: CLUSTER, id: uuid(node), label: `node${node}` },
});

async function installation() {
  const leader = new FakeLeader();
  const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
  const peer = a.openConnection();
  settle(leader, [a, b]);
  const logger = createLogger({ level: 'silent', service: 'test' });
  const server = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
  server.addService(DirectoryService, leader.core.directory.implementation);
  const port = await server.start();
  cleanups.push(() => server.stop(0));
  const client = new DirectoryClient(`127.0.0.1:${port}`, credentials.createInsecure());
  cleanups.push(() => client.close());
  const find = (node: NodeSelector | undefined, gateway = a.id, ms = PATIENCE_MS) => {
    const { promise, resolve, reject } = Promise.withResolvers<FindNodeResponse>();
    const call = client.findNode({ node, gateway }, new Metadata(), { deadline: Date.now() + ms }, (error, answer) => {
      if (error === null) resolve(answer);
      else reject(error);
    });
    promise.catch(() => {});
    return Object.assign(promise, { cancel: () => call.cancel() });
  };
  const findCluster = (nodes: number) =>
    new Promise<FindClusterResponse>((resolve, reject) => {
      client.findCluster(
        { cluster: CLUSTER, nodes, gateway: 'x.00000001' },
        new Metadata(),
        { deadline: Date.now() + PATIENCE_MS },
        (error, answer) => (error === null ? resolve(answer) : reject(error)),
      );
    });
  const waiting = async (n: number): Promise<void> => {
    while (leader.core.directory.waiting !== n) await new Promise<void>((resolve) => setImmediate(resolve));
  };
  return { leader, a, b, peer, find, findCluster, waiting };
}

describe('FindNode', () => {
  it('answers at once for a known node: its links, best first', async () => {
    const { leader, a, b, peer, find } = await installation();
    const far = a.openLink(peer, 5, 3);
    const near = b.openLink(b.openConnection(), 5, 1);
    settle(leader, [a, b]);
    const answer = await find(exactly(5));
    expect(answer.node).toMatchObject({ key: exactly(5).key, links: 2, bestDist: 1 });
    expect(answer.links.map(({ gateway, number }) => [gateway, number])).toEqual([
      [b.id, near],
      [a.id, far],
    ]);
    expect(answer.links[0]!.link?.id).toBe(`${b.id}:${near}`);
  });

  it.each([
    ['its key', exactly(0x1234)],
    ['its id', named(uuid(0x1234).toUpperCase())],
    ['its label', named('node4660')],
    ['its id in its cluster', named(uuid(0x1234), uuid(1), Dialect.DIALECT_CIRCUIT)],
    ['a prefix that fits it only', named('00000000-0000-0000-0000-0000000012')],
  ])('waits for a node named by %s', async (_how, selector) => {
    const { leader, a, b, peer, find, waiting } = await installation();
    a.openLink(peer, 0xffff);
    settle(leader, [a, b]);
    const found = find(selector);
    await waiting(1);
    a.openLink(peer, 0x2234);
    settle(leader, [a, b]);
    expect(leader.core.directory.waiting).toBe(1);
    const link = a.openLink(peer, 0x1234);
    settle(leader, [a, b]);
    expect((await found).links.map(({ number }) => number)).toEqual([link]);
    expect(leader.core.directory.waiting).toBe(0);
  });

  it.each([1, 2, 35])('waits for a node named by the first %i characters of its id', async (length) => {
    const { leader, a, b, peer, find, waiting } = await installation();
    const found = find(named(uuid(0x1234).slice(0, length)));
    await waiting(1);
    const link = a.openLink(peer, 0x1234);
    settle(leader, [a, b]);
    expect((await found).links.map(({ number }) => number)).toEqual([link]);
  });

  it('does not accept a node of another cluster or dialect', async () => {
    const { leader, a, b, peer, find, waiting } = await installation();
    a.openLink(peer, 5);
    settle(leader, [a, b]);
    const others = [find(named('node5', uuid(2))), find(named('node5', '', Dialect.DIALECT_LINKID))];
    await waiting(2);
    const link = a.openLink(a.openConnection('linkid'), 5);
    settle(leader, [a, b]);
    expect((await others[1]!).links.map(({ number }) => number)).toEqual([link]);
    expect(leader.core.directory.waiting).toBe(1);
  });

  it('lists the nodes that an ambiguous name fits, also if they appear later', async () => {
    const { leader, a, b, peer, find, waiting } = await installation();
    a.openLink(peer, 0x51);
    a.openLink(peer, 0x52);
    const later = find(named('00000000-0000-0000-0000-00000000009'));
    await waiting(1);
    a.openLink(peer, 0x91);
    a.openLink(peer, 0x92);
    settle(leader, [a, b]);
    const ambiguous = { code: status.INVALID_ARGUMENT, details: expect.stringContaining(uuid(0x92)) };
    await expect(later).rejects.toMatchObject(ambiguous);
    await expect(find(named('00000000-0000-0000-0000-00000000005'))).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringMatching(new RegExp(`${uuid(0x51)}.*${uuid(0x52)}`)),
    });
  });

  it('waits until the calling gateway can use one of the links', async () => {
    const { leader, a, b, find, waiting } = await installation();
    const link = b.openLink(b.openConnection(), 5);
    a.reach(b.id, false);
    settle(leader, [a, b]);
    const found = find(exactly(5));
    await waiting(1);
    expect((await find(exactly(5), b.id)).links).toHaveLength(1);
    a.reach(b.id, true);
    settle(leader, [a, b]);
    expect((await found).links.map(({ number }) => number)).toEqual([link]);
  });

  it('forgets calls that were cancelled or whose deadline has passed', async () => {
    const { find, waiting } = await installation();
    const cancelled = find(exactly(5));
    await waiting(1);
    cancelled.cancel();
    await expect(cancelled).rejects.toMatchObject({ code: status.CANCELLED });
    await waiting(0);
    await expect(find(exactly(5), 'a.00000001', 50)).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
    await waiting(0);
  });

  // Causes: code directory/directory.ts INVALID_ARGUMENT
  it.each([
    [undefined, /Name a node/],
    [named(''), /Name a node/],
    [named('x'.repeat(256)), /at most 255/],
    [named('x', 'tank'), /uuid/],
    [named('x', '', 9 as Dialect), /dialect/],
    [{ ...named(''), key: { cluster: undefined, id: uuid(1), label: '' } }, /cluster/],
    [{ ...named(''), key: { cluster: CLUSTER, id: 'tank', label: '' } }, /uuid/],
    [{ ...named(''), key: { cluster: CLUSTER, id: uuid(1), label: 'x'.repeat(128) } }, /127/],
  ])('refuses %j', async (selector, details) => {
    const { find } = await installation();
    const error = await find(selector).catch((thrown: ServiceError) => thrown);
    expect(error).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringMatching(details) });
  });

  // Causes: code directory/directory.ts UNAVAILABLE
  it('ends all waits when the replica does not lead any more', async () => {
    const { leader, find, waiting } = await installation();
    const found = find(exactly(5));
    await waiting(1);
    leader.lose();
    await expect(found).rejects.toMatchObject({ code: status.UNAVAILABLE });
    await expect(find(exactly(5))).rejects.toMatchObject({ code: status.UNAVAILABLE });
  });
});

describe('FindCluster', () => {
  it('waits until the cluster has the requested number of nodes', async () => {
    const { leader, a, b, peer, findCluster, waiting } = await installation();
    const [one, two] = [findCluster(0), findCluster(2)];
    await waiting(2);
    a.openLink(peer, 1);
    settle(leader, [a, b]);
    expect((await one).cluster).toMatchObject({ key: CLUSTER, nodes: 1 });
    expect(leader.core.directory.waiting).toBe(1);
    a.openLink(peer, 2);
    settle(leader, [a, b]);
    expect((await two).cluster).toMatchObject({ nodes: 2 });
    expect((await findCluster(1)).cluster).toMatchObject({ nodes: 2 });
  });
});

/** A call without a server; it records the answer or error. */
function asked(leader: FakeLeader, node: NodeSelector, gateway = 'a.00000001') {
  const made = {
    answer: undefined as FindNodeResponse | undefined,
    error: undefined as { code: status } | undefined,
    cancel: () => {},
  };
  const call = {
    request: { node, gateway },
    cancelled: false,
    once: (_: string, fn: () => void) => {
      made.cancel = fn;
    },
    getDeadline: () => Number.POSITIVE_INFINITY,
  };
  const { findNode } = leader.core.directory.implementation as unknown as {
    findNode: (call: object, callback: (error: { code: status } | null, answer?: FindNodeResponse) => void) => void;
  };
  findNode(call, (error, answer) => {
    made.error = error ?? undefined;
    made.answer = answer;
  });
  return made;
}

describe('the directory', () => {
  // Limits: directory/directory.ts MAX_WAITING
  // Causes: code directory/directory.ts RESOURCE_EXHAUSTED
  // Causes: metric spanmesh_topology_directory_waiting
  it('keeps a limited number of calls waiting, and one more when one has ended', () => {
    const leader = new FakeLeader();
    settle(leader, [new FakeGateway('a')]);
    const calls = Array.from({ length: MAX_WAITING }, () => asked(leader, exactly(5)));
    expect([leader.core.directory.waiting, calls.some(({ error }) => error !== undefined)]).toEqual([
      MAX_WAITING,
      false,
    ]);
    expect(asked(leader, exactly(5)).error).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    calls[0]!.cancel();
    expect(asked(leader, exactly(5)).error).toBeUndefined();
    leader.core.directory.endAll('it stops');
    expect(calls.at(-1)!.error).toMatchObject({ code: status.UNAVAILABLE });
    expect(leader.core.directory.waiting).toBe(0);
  });

  // Limits: directory/directory.ts MAX_FOUND_LINKS
  it('gives a limited number of links of a node, the best ones', () => {
    const leader = new FakeLeader();
    const a = new FakeGateway('a');
    for (let i = 0; i < MAX_FOUND_LINKS; i++) a.openLink(a.openConnection(), 5, 2);
    settle(leader, [a]);
    expect(asked(leader, exactly(5)).answer?.links).toHaveLength(MAX_FOUND_LINKS);
    const best = a.openLink(a.openConnection(), 5, 1);
    settle(leader, [a]);
    const { links } = asked(leader, exactly(5)).answer!;
    expect([links.length, links[0]?.number]).toEqual([MAX_FOUND_LINKS, best]);
  });

  it('of a frozen leader answers its own gateways, and sends others to the replica that leads', () => {
    const leader = new FakeLeader();
    const a = new FakeGateway('a');
    a.openLink(a.openConnection(), 5);
    settle(leader, [a]);
    leader.freeze();
    leader.clock.advance(1500);
    expect(asked(leader, exactly(5)).answer).toMatchObject({ lagMs: 1500 });
    expect(asked(leader, exactly(5), 'x.00000001').error).toMatchObject({ code: status.UNAVAILABLE });
    leader.lead();
    expect(asked(leader, exactly(5), 'x.00000001').answer).toBeDefined();
  });
});
