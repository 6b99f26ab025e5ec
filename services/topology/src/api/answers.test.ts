import { ExplainResponse, GetTreeResponse, type ListRelaysResponse } from '@spanmesh/proto/v1/topology';
import { Dialect } from '@spanmesh/proto/v1/types';
import { MAX_PAGE_BYTES, MAX_PAGE_VISITS, type PageRequest, pageUnits } from '@spanmesh/runtime/grpc/paging';
import { type Job, runNow, Slices, UNITS_PER_TURN } from '@spanmesh/runtime/grpc/slices';
import { beforeAll, describe, expect, it } from 'vitest';
import { FakeGateway } from '../testing/fake-gateway.fixture.ts';
import { FakeLeader } from '../testing/fake-leader.fixture.ts';
import { uuid } from '../testing/payloads.fixture.ts';
import { ANY } from '../testing/requests.fixture.ts';
import { settle } from '../testing/world.fixture.ts';
import { linkBytes, lnkConnBytes } from '../trees/keys.ts';
import { explain } from './explain.ts';
import { listClusters, listConnections, listLinks, listNodes, listRelays } from './lists.ts';
import { treeParts } from './tree-parts.ts';

const MESSAGE_BYTES = 1024 * 1024;
/** All pages of a list. */
function pages<T>(of: (request: PageRequest) => Job<{ nextPageToken: string } & T>, pageSize: number): T[] {
  const all: T[] = [];
  let pageToken = '';
  do {
    const page = runNow(of({ pageSize, pageToken }));
    all.push(page);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return all;
}

describe('lists', () => {
  it('are the same with pages of any size, in the order of their keys', () => {
    const leader = new FakeLeader();
    const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
    for (const gateway of [a, b]) {
      for (let i = 0; i < 3; i++) gateway.openLnkConn(gateway.openConnection(), i);
      gateway.openLnkConn(gateway.openConnection('linkid'));
      const source = gateway.openConnection();
      for (let node = 0; node < 5; node++) gateway.openLink(source, node, 1 + (node % 3));
      const old = gateway.openConnection('linkid');
      for (let node = 0; node < 5; node++) gateway.openLink(old, 10 + node, node);
    }
    settle(leader, [a, b]);
    const { state } = leader.core;
    const lists: readonly ((request: PageRequest) => Job<{ nextPageToken: string } & Record<string, unknown>>)[] = [
      (request) => listClusters(state.trees, { ...ANY, ...request }),
      (request) => listNodes(state.trees, { ...ANY, ...request }),
      (request) => listLinks(state.trees, { ...ANY, ...request }),
      (request) => listConnections(state.trees, { ...ANY, ...request }),
      (request) => listRelays(state.trees, { ...ANY, ...request }),
      (request) => listRelays(state.trees, { ...ANY, node: 'node3', ...request }),
      (request) => listLinks(state.trees, { ...ANY, clusterId: uuid(1), dialect: Dialect.DIALECT_CIRCUIT, ...request }),
    ];
    for (const list of lists) {
      const objects = (size: number) =>
        pages(list, size).flatMap(({ nextPageToken: _, ...page }) => Object.values(page).flat());
      const whole = objects(5000);
      expect(whole.length).toBeGreaterThan(1);
      for (const size of [1, 2, 3]) expect(objects(size)).toEqual(whole);
    }
  });
});

describe('answers about a node with very many links, and a LNK_CONN with very many relays', () => {
  const LINKS = 6000;
  const leader = new FakeLeader();
  const a = new FakeGateway('a');
  let peer = 0;

  beforeAll(() => {
    peer = a.openConnection();
    a.openLnkConn(peer, 42);
    const source = a.openConnection();
    for (let i = 0; i < LINKS; i++) a.openLink(source, 1, 3);
    for (let node = 100; node < 100 + LINKS; node++) a.openLink(source, node, 2);
    settle(leader, [a]);
  });

  it('Explain comes in pages of less than a mebibyte', () => {
    const { state } = leader.core;
    const widths = { linkid: 2, circuit: 1 };
    const request = { node: 'node1', connection: `${a.id}:${peer}` };
    const ask = (page: PageRequest) => explain(state.trees, widths, { ...request, ...page });
    const all = pages(ask, 5000);
    const verdicts = all.flatMap(({ lnkConns }) => lnkConns).flatMap((one) => one.verdicts);
    // The LNK_CONN counts once in each page.
    const [link] = state.gateways.get(a.id)!.links.values();
    const most = Math.floor(
      (MAX_PAGE_BYTES - lnkConnBytes(link!.connection.lnkConns.values().next().value!)) / linkBytes(link!),
    );
    expect(all.map(({ lnkConns }) => lnkConns.flatMap((one) => one.verdicts).length)).toEqual([
      ...Array.from({ length: Math.floor(LINKS / most) }, () => most),
      LINKS % most,
    ]);
    expect(new Set(verdicts.map(({ link }) => link!.id)).size).toBe(LINKS);
    for (const page of all) {
      const bytes = ExplainResponse.encode({ ...page, revision: '', nextPageToken: '' }).finish().length;
      expect(bytes).toBeLessThan(MESSAGE_BYTES);
    }
    // Links before the page count for the width, wherever a page begins.
    expect(verdicts.filter(({ relayed }) => relayed)).toHaveLength(1);
    const small = pages(ask, 7)
      .flatMap(({ lnkConns }) => lnkConns)
      .flatMap((one) => one.verdicts);
    expect(small).toEqual(verdicts);
  });

  it('GetTree comes in parts of less than a mebibyte, though they divide a node', () => {
    const parts = [...treeParts(leader.core.state.trees, { dialect: 0, clusterId: '', withRelays: true }, 'r')];
    const nodes = parts.flatMap(({ clusters }) => clusters).flatMap((cluster) => cluster.nodes);
    expect(nodes.flatMap(({ links }) => links)).toHaveLength(2 * LINKS);
    expect(nodes.filter(({ node }) => node!.label === 'node1').length).toBeGreaterThan(1);
    for (const part of parts) expect(GetTreeResponse.encode(part).finish().length).toBeLessThan(MESSAGE_BYTES);
  });

  it('fifty calls of ListRelays for one relay each look at few more nodes than that', async () => {
    const { state } = leader.core;
    const slices = new Slices();
    const nodes = state.trees.tree.counts.nodes;
    const [lnkConn] = state.gateways.get(a.id)!.lnkConns.values();
    let looked = 0;
    const relaysOf = lnkConn!.relaysOf.bind(lnkConn);
    const counted = (node: Parameters<typeof relaysOf>[0]) => {
      looked++;
      return relaysOf(node);
    };
    Object.assign(lnkConn!, { relaysOf: counted });
    const seen: string[] = [];
    let pageToken = '';
    for (let i = 0; i < 50; i++) {
      const page: Omit<ListRelaysResponse, 'revision'> = await slices.run(
        listRelays(state.trees, { ...ANY, pageSize: 1, pageToken }),
      );
      seen.push(...page.relays.map(({ link }) => link));
      pageToken = page.nextPageToken;
    }
    expect(new Set(seen).size).toBe(50);
    // Per call: the node of the relay, one node to see whether more relays follow, and the node to begin at.
    expect(looked).toBeLessThanOrEqual(50 * 3);
    expect(nodes).toBeGreaterThan(LINKS);
    expect(slices.most).toBeLessThanOrEqual(UNITS_PER_TURN + pageUnits({ pageSize: 1, pageToken: '' }));
  });

  it('a filter that matches nothing ends the page early', () => {
    const { state } = leader.core;
    const all = pages((request) => listRelays(state.trees, { ...ANY, link: 'a.0:1', ...request }), 5000);
    expect(all.flatMap(({ relays }) => relays)).toEqual([]);
    expect(all.length).toBe(1 + Math.floor((LINKS + 1) / MAX_PAGE_VISITS));
  });
});
