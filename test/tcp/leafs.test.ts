import { BLK_READ, BLK_WRITE, DELETE } from '@spanmesh/dmsg/command';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import { EndNode } from '@spanmesh/link-gateway/routing/end-node.fixture';
import type { MessagingClient, NodeSelector } from '@spanmesh/proto/v1/messaging';
import { Dialect as ApiDialect } from '@spanmesh/proto/v1/types';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connBody, connFields, PEER, spanBody, spanFields, testUuid } from '../peer/payloads.ts';
import { messagingClient, RouteClient } from '../peer/route-client.ts';
import { Heard } from '../peer/route-world.ts';
import type { Dialect } from '../peer/wire.ts';
import { World } from '../peer/world.ts';

const CLUSTER = testUuid(0xc1);
const OTHER_CLUSTER = testUuid(0xc2);
const NODES = 3;
const OTHERS = 40;
const LEAFS = 5;

/** peer_type in a leaf's LNK_CONN, which decides whose spans it is sent (protocol.md, "Leafs"). */
const LEAF = { circuit: PEER.CLIENT, linkid: PEER.HAMMER2 };

interface Leaf {
  readonly node: EndNode;
  /** Opens a transaction on the relay of a node. */
  ask(of: Transaction, cmd: number): Heard;
}

describe.each(['circuit', 'linkid'] as const)('leafs, %s', (dialect) => {
  let world: World;
  let client: MessagingClient;
  let ends: EndNode[];
  let nodes: { node: EndNode; asked: Transaction[] }[];

  beforeEach(async () => {
    ends = [];
    world = await World.start({ markers: dialect === 'circuit' ? 'linkid' : 'circuit' });
    client = messagingClient(world.standalone.grpcPort);
    nodes = [];
    for (let n = 0; n < NODES; n++) {
      const node = await join(dialect, { label: `node ${n}`, peerType: PEER.ROUTER });
      node.span(body({ cluster: CLUSTER, node: testUuid(n + 1) }));
      const asked: Transaction[] = [];
      node.onOpen = (tx) => void asked.push(tx);
      nodes.push({ node, asked });
    }
    const others = await join(dialect, { label: 'others', peerType: PEER.ROUTER });
    for (let n = 0; n < OTHERS; n++) others.span(body({ cluster: OTHER_CLUSTER, node: testUuid(0x100 + n) }));
    await settled();
  });

  afterEach(async () => {
    for (const end of ends) end.destroy();
    client.close();
    await world.stop();
  });

  async function join(of: Dialect, fields: Parameters<typeof connFields>[0]): Promise<EndNode> {
    const node = await EndNode.connect(world.port(of), of, connBody(of, connFields(fields)));
    ends.push(node);
    return node;
  }

  function body(fields: Parameters<typeof spanFields>[0]): Buffer {
    return spanBody(dialect, spanFields({ peerType: PEER.HAMMER2, ...fields }));
  }

  /** Resolves when everything sent before has had its effects, and these have arrived. */
  async function settled(): Promise<void> {
    const open = () => ends.filter(({ closed }) => !closed);
    await Promise.all(open().map((end) => end.barrier()));
    await world.settled();
    await Promise.all(open().map((end) => end.barrier()));
  }

  async function leafs(): Promise<Leaf[]> {
    const all: Leaf[] = [];
    for (let n = 0; n < LEAFS; n++) {
      const node = await join(dialect, { label: `leaf ${n}`, peerType: LEAF[dialect], cluster: CLUSTER });
      const ask = (relay: Transaction, cmd: number) => {
        const heard = new Heard();
        const { msgidLo: targetLo, msgidHi: targetHi } = relay;
        const address = dialect === 'linkid' ? { sourceLo: 0, sourceHi: 0, targetLo, targetHi } : null;
        node.endpoint.open(cmd, dialect === 'circuit' ? relay : null, heard, null, 0, null, address);
        node.flush();
        return heard;
      };
      all.push({ node, ask });
    }
    await settled();
    return all;
  }

  function selector(n: number): NodeSelector {
    const isCircuit = dialect === 'circuit';
    const cluster = {
      dialect: isCircuit ? ApiDialect.DIALECT_CIRCUIT : ApiDialect.DIALECT_LINKID,
      id: CLUSTER,
      peerType: isCircuit ? PEER.HAMMER2 : 0,
      peerLabel: '',
    };
    const key = { cluster, id: testUuid(n + 1), label: '' };
    return { key, dialect: ApiDialect.DIALECT_UNSPECIFIED, clusterId: '', node: '' };
  }

  it('are sent the spans of their cluster, and the trees do not grow with the number of leafs', async () => {
    const { treeLinks, treeClusters } = world.counts();
    const all = await leafs();
    for (const { node } of all) expect(node.relays).toHaveLength(NODES);
    const answers = all.flatMap(({ node, ask }) => node.relays.map((relay) => ask(relay, BLK_READ | DELETE)));
    const route = await RouteClient.open(client, selector(0));
    route.send({ transaction: 1, command: BLK_WRITE, create: true, delete: true, payload: Buffer.alloc(64) });
    await nodes[0]!.node.until(() => nodes[0]!.asked.length === LEAFS + 1);
    await settled();
    for (const { node, asked } of nodes) {
      for (const tx of asked) node.endpoint.end(tx);
      node.flush();
    }
    await settled();
    expect((await route.message()).delete).toBe(true);
    route.stream.end();
    await route.ended;
    expect(answers.every(({ words }) => words.length === 1 && !words[0]!.includes(' '))).toBe(true);
    // At most the one span that the gateway offers for all leafs.
    expect(world.counts().treeLinks! - treeLinks!).toBeLessThanOrEqual(1);
    expect(world.counts().treeClusters).toBe(treeClusters);
  });

  it('lose exactly the transactions on a node when it goes', async () => {
    const all = await leafs();
    const asked = all.map(({ node, ask }) => node.relays.map((relay) => ask(relay, BLK_READ)));
    const lost = await RouteClient.open(client, selector(0));
    const kept = await RouteClient.open(client, selector(1));
    for (const route of [lost, kept]) {
      route.send({ transaction: 1, command: BLK_READ, create: true, delete: false, payload: Buffer.alloc(64) });
    }
    for (const { node, asked: taken } of nodes.slice(0, 2)) await node.until(() => taken.length === LEAFS + 1);
    await settled();
    nodes[0]!.node.destroy();
    expect(await lost.ended).not.toBe(null);
    await world.settled();
    await settled();
    const ended = asked.map((heards) => heards.map(({ words }) => words.length > 0));
    // The nodes connected one after the other, so their relays came in this order.
    expect(ended).toEqual(all.map(() => [true, false, false]));
    for (const heards of asked) expect(heards[0]!.words.join()).toMatch(/ 21$|lost 21$/);
    for (const { node, asked: taken } of nodes.slice(1)) {
      for (const tx of taken) node.endpoint.end(tx);
      node.flush();
    }
    await settled();
    expect((await kept.message()).delete).toBe(true);
    kept.stream.end();
    for (const heards of asked) {
      for (const { words } of heards.slice(1)) expect(words).toHaveLength(1);
    }
  });
});
