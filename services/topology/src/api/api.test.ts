import { type ServiceError, status } from '@grpc/grpc-js';
import {
  type GetTreeResponse,
  type ListLinksRequest,
  type TopologyClient,
  VerdictReason,
  type WatchResponse,
} from '@spanmesh/proto/v1/topology';
import { Dialect } from '@spanmesh/proto/v1/types';
import { describe, expect, it } from 'vitest';
import { FakeGateway, pairName } from '../testing/fake-gateway.fixture.ts';
import { FakeLeader } from '../testing/fake-leader.fixture.ts';
import { uuid } from '../testing/payloads.fixture.ts';
import { ANY } from '../testing/requests.fixture.ts';
import { served } from '../testing/served-api.fixture.ts';
import { settle } from '../testing/world.fixture.ts';

/** Two gateways; three nodes of the circuit dialect and one of linkid. */
async function installation() {
  const leader = new FakeLeader();
  const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
  const source = a.openConnection();
  const links = [1, 2, 3].map((node) => a.openLink(source, node, node));
  const second = b.openLink(b.openConnection(), 1, 4);
  const peer = b.openConnection();
  const lnkConn = b.openLnkConn(peer, 42);
  const old = a.openConnection('linkid');
  const oldLink = a.openLink(old, 9);
  settle(leader, [a, b]);
  const client = await served(leader);
  return { leader, a, b, client, source, links, second, peer, lnkConn, old, oldLink };
}

type Method = { [K in keyof TopologyClient]: K extends `list${string}` | 'explain' ? K : never }[keyof TopologyClient];

/** Calls a unary method. */
function ask<Answer>(client: TopologyClient, method: Method, request: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = client[method] as unknown as (
      message: object,
      done: (error: ServiceError | null, answer: Answer) => void,
    ) => void;
    call.call(client, { ...ANY, pageSize: 0, ...request }, (error, answer) =>
      error ? reject(error) : resolve(answer),
    );
  });
}

const fails = async (answer: Promise<unknown>) =>
  answer.then(
    () => undefined,
    (error: ServiceError) => error,
  );

async function tree(client: TopologyClient, request: object): Promise<GetTreeResponse[]> {
  const parts: GetTreeResponse[] = [];
  for await (const part of client.getTree({ dialect: 0, clusterId: '', withRelays: false, ...request }))
    parts.push(part);
  return parts;
}

describe('lists', () => {
  it('show clusters, nodes and links in order', async () => {
    const { client, a, b, links, second } = await installation();
    const { clusters } = await ask<{ clusters: { key: { dialect: Dialect }; nodes: number; links: number }[] }>(
      client,
      'listClusters',
      {},
    );
    expect(clusters.map(({ key, nodes, links: count }) => [key.dialect, nodes, count])).toEqual([
      [Dialect.DIALECT_LINKID, 1, 1],
      [Dialect.DIALECT_CIRCUIT, 3, 4],
    ]);
    const { nodes } = await ask<{ nodes: { key: { id: string }; label: string; bestDist: number }[] }>(
      client,
      'listNodes',
      {
        dialect: Dialect.DIALECT_CIRCUIT,
      },
    );
    expect(nodes.map(({ key, label, bestDist }) => [key.id, label, bestDist])).toEqual(
      [1, 2, 3].map((node) => [uuid(node), `node${node}`, node]),
    );
    const { links: shown } = await ask<{ links: object[] }>(client, 'listLinks', { node: 'node1' });
    expect(shown).toMatchObject([
      { id: `${a.id}:${links[0]}`, dist: 1, relays: 1, label: 'node1', pfsType: 4, suspect: false },
      { id: `${b.id}:${second}`, dist: 4, relays: 0, msgid: (0xfffff800n << 32n) | BigInt(second) },
    ]);
  });

  it('show connections with their LNK_CONNs, and relays', async () => {
    const { client, a, b, peer, lnkConn, links } = await installation();
    const { connections } = await ask<{ connections: object[] }>(client, 'listConnections', { gateway: 'b' });
    expect(connections).toHaveLength(2);
    expect(connections[1]).toMatchObject({
      id: `${b.id}:${peer}`,
      gateway: b.id,
      links: 0,
      relays: 3,
      lnkConns: [{ id: `${b.id}:${lnkConn}`, mediaId: uuid(42), label: 'peer42', peerMask: 2n ** 64n - 1n, relays: 3 }],
    });
    const { relays } = await ask<{ relays: object[] }>(client, 'listRelays', {});
    expect(relays).toMatchObject(
      [1, 2, 3].map((node) => ({
        link: `${a.id}:${links[node - 1]}`,
        lnkConn: `${b.id}:${lnkConn}`,
        connection: `${b.id}:${peer}`,
        node: { id: uuid(node) },
        dist: node + 1,
      })),
    );
    const one = await ask<{ relays: object[] }>(client, 'listRelays', { link: `${a.id}:${links[1]}` });
    expect(one.relays).toHaveLength(1);
  });

  it('count relays on demand as relays', async () => {
    const { leader, client, a, old, oldLink } = await installation();
    const lnkConn = a.openLnkConn(a.openConnection('linkid'));
    const other = a.openLink(a.openConnection('linkid'), 9, 3);
    const worst = a.openLink(a.openConnection('linkid'), 9, 4);
    settle(leader, [a]);
    expect(a.relays.has(pairName(a.id, worst, lnkConn))).toBe(false);
    a.openOnDemand(pairName(a.id, worst, lnkConn));
    a.openOnDemand(pairName(a.id, other, lnkConn));
    settle(leader, [a]);
    const of = async () => (await ask<{ relays: { link: string }[] }>(client, 'listRelays', { node: 'node9' })).relays;
    expect((await of()).map(({ link }) => link)).toEqual([oldLink, other, worst].map((link) => `${a.id}:${link}`));
    // A relay that is both selected and on demand counts once.
    const { links } = await ask<{ links: { relays: number }[] }>(client, 'listLinks', { node: 'node9' });
    expect(links.map(({ relays }) => relays)).toEqual([1, 1, 1]);
    a.closeOnDemand(pairName(a.id, worst, lnkConn));
    settle(leader, [a]);
    expect(await of()).toHaveLength(2);
    expect(leader.core.state.gateways.get(a.id)!.connections.has(old)).toBe(true);
  });

  it('come in pages', async () => {
    const { client } = await installation();
    const ids: string[] = [];
    let pageToken = '';
    do {
      const page: { links: { id: string }[]; nextPageToken: string } = await ask(client, 'listLinks', {
        pageSize: 2,
        pageToken,
      });
      ids.push(...page.links.map(({ id }) => id));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    const all = await ask<{ links: { id: string }[] }>(client, 'listLinks', {});
    expect(ids).toEqual(all.links.map(({ id }) => id));
    expect(ids).toHaveLength(5);
  });

  it('filter', async () => {
    const { client, a, source, b } = await installation();
    const count = async (request: Partial<ListLinksRequest>) =>
      (await ask<{ links: object[] }>(client, 'listLinks', request)).links.length;
    expect(await count({ connection: `${a.id}:${source}` })).toBe(3);
    expect(await count({ connection: `${b.id}:${source}00` })).toBe(0);
    expect(await count({ clusterId: uuid(1).toUpperCase() })).toBe(5);
    expect(await count({ clusterId: uuid(2) })).toBe(0);
    expect(await count({ dialect: Dialect.DIALECT_LINKID })).toBe(1);
    expect((await fails(count({ clusterId: 'x' })))?.code).toBe(status.INVALID_ARGUMENT);
    expect((await fails(count({ pageToken: 'x' })))?.code).toBe(status.INVALID_ARGUMENT);
  });

  it('are not answered by a replica that does not lead and has no trees', async () => {
    const { client, leader } = await installation();
    leader.lose();
    const error = await fails(ask(client, 'listLinks', {}));
    expect(error?.code).toBe(status.UNAVAILABLE);
    expect(error?.details).toContain('other:1');
    leader.lead();
    leader.freeze();
    expect(await fails(ask(client, 'listLinks', {}))).toBeUndefined();
  });
});

describe('GetTree', () => {
  it('shows everything of one revision', async () => {
    const { client, leader, b, lnkConn, peer } = await installation();
    const parts = await tree(client, { withRelays: true });
    expect(new Set(parts.map(({ revision }) => revision))).toEqual(new Set([leader.core.history.revision]));
    const clusters = parts.flatMap((part) => part.clusters);
    const links = clusters.flatMap(({ nodes }) => nodes).flatMap((node) => node.links);
    expect(links).toHaveLength(5);
    expect(links.flatMap(({ relays }) => relays)).toEqual(
      [1, 2, 3].map(() => ({ withheld: false, lnkConn: `${b.id}:${lnkConn}`, connection: `${b.id}:${peer}` })),
    );
    const only = await tree(client, { dialect: Dialect.DIALECT_LINKID });
    expect(only.flatMap((part) => part.clusters)).toHaveLength(1);
  });

  it('of no clusters is one empty part with a revision', async () => {
    const leader = new FakeLeader();
    const parts = await tree(await served(leader), {});
    expect(parts).toEqual([{ clusters: [], revision: leader.core.history.revision }]);
  });

  it('of a large installation comes in parts that all show the moment of the call', async () => {
    const leader = new FakeLeader();
    const a = new FakeGateway('a');
    const source = a.openConnection();
    for (let node = 0; node < 4000; node++) a.openLink(source, node);
    settle(leader, [a]);
    const client = await served(leader);
    const call = client.getTree({ dialect: 0, clusterId: '', withRelays: false });
    let parts = 0;
    let links = 0;
    for await (const part of call as AsyncIterable<GetTreeResponse>) {
      if (parts++ === 0) {
        a.closeConnection(source);
        settle(leader, [a]);
      }
      links += part.clusters.flatMap(({ nodes }) => nodes).flatMap((node) => node.links).length;
      expect(part.clusters[0]!.cluster!.links).toBe(4000);
    }
    expect(parts).toBeGreaterThan(2);
    expect(links).toBe(4000);
    expect(leader.core.state.trees.tree.counts.links).toBe(0);
  });
});

describe('Watch', () => {
  it('streams changes from the revision of a list', async () => {
    const { client, leader, a } = await installation();
    const { revision } = await ask<{ revision: string }>(client, 'listLinks', {});
    a.openConnection();
    settle(leader, [a]);
    const call = client.watch({ revision, withRelays: false });
    const responses: WatchResponse[] = [];
    for await (const response of call as AsyncIterable<WatchResponse>) {
      responses.push(response);
      if (response.changes !== undefined) break;
    }
    expect(
      responses.map((response) => Object.keys(response).find((key) => response[key as 'created'] !== undefined)),
    ).toEqual(['created', 'changes']);
  });

  it('from an unknown revision says so, and ends in order', async () => {
    const { client, leader } = await installation();
    const another = new FakeLeader();
    for (const revision of ['7.7', another.core.history.revision]) {
      const responses: WatchResponse[] = [];
      for await (const response of client.watch({ revision, withRelays: false }) as AsyncIterable<WatchResponse>) {
        responses.push(response);
      }
      expect(responses).toHaveLength(1);
      expect(responses[0]!.listAgain).toMatchObject({ revision: leader.core.history.revision });
      expect(responses[0]!.listAgain!.reason).toContain('another history');
    }
    expect(leader.core.api.watches).toBe(0);
  });
});

describe('Explain', () => {
  it('says for each link whether it is relayed and why not', async () => {
    const { client, b, peer, second, a, links } = await installation();
    const answer = await ask<{
      lnkConns: { width: number; verdicts: { link: { id: string }; reason: number; relayed: boolean }[] }[];
    }>(client, 'explain', { node: 'node1', connection: `${b.id}:${peer}` });
    expect(answer.lnkConns).toHaveLength(1);
    expect(answer.lnkConns[0]!.width).toBe(1);
    expect(answer.lnkConns[0]!.verdicts.map(({ link, reason, relayed }) => [link.id, reason, relayed])).toEqual([
      [`${a.id}:${links[0]}`, VerdictReason.VERDICT_REASON_TAKEN, true],
      [`${b.id}:${second}`, VerdictReason.VERDICT_REASON_WIDTH_FULL, false],
    ]);
  });

  it('tells a refused relay from an open one', async () => {
    const { client, leader, b, lnkConn, a, links } = await installation();
    b.refuse(pairName(a.id, links[0]!, lnkConn));
    settle(leader, [a, b]);
    const answer = await ask<{ lnkConns: { verdicts: { reason: number; relayed: boolean }[] }[] }>(client, 'explain', {
      node: uuid(1),
      connection: 'peer42',
    });
    expect(answer.lnkConns[0]!.verdicts[0]).toMatchObject({
      reason: VerdictReason.VERDICT_REASON_REFUSED,
      relayed: false,
    });
  });

  // Causes: code api/explain.ts FAILED_PRECONDITION
  it('finds what is named in short, and lists what may be meant', async () => {
    const { client, a, b, peer, source } = await installation();
    const explain = (node: string, connection: string) =>
      ask<{ node: { key: { id: string } }; connection: { id: string } }>(client, 'explain', { node, connection });
    expect((await explain('node2', String(peer))).connection.id).toBe(`${b.id}:${peer}`);
    expect((await explain(uuid(2), 'peer42')).node.key.id).toBe(uuid(2));

    const prefix = await fails(explain('00000000', 'peer42'));
    expect(prefix?.code).toBe(status.INVALID_ARGUMENT);
    expect(prefix?.details).toContain(`${uuid(3)} (node3)`);
    const number = await fails(explain('node2', String(source)));
    expect(number?.code).toBe(status.INVALID_ARGUMENT);
    expect(number?.details).toContain(`${a.id}:${source}, ${b.id}:${source}`);
    expect((await fails(explain('nothing', 'peer42')))?.code).toBe(status.NOT_FOUND);
    expect((await fails(explain('node2', 'nobody')))?.code).toBe(status.NOT_FOUND);
    expect((await fails(explain('', 'peer42')))?.code).toBe(status.INVALID_ARGUMENT);
    expect((await fails(explain('node9', 'peer42')))?.code).toBe(status.FAILED_PRECONDITION);
  });
});
