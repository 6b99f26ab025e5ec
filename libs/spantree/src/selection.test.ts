import { describe, expect, it } from 'vitest';
import type { Explanation } from './explain.ts';
import { type Connection, type Link, type LnkConn, type LnkConnFilter, type SpanKey, SpanTree } from './tree.ts';

const NIL = '00000000-0000-0000-0000-000000000000';
const VOLUME = 'c1000001-0a0b-11e4-8a21-01a2b3c4d5e6';
const OTHER_VOLUME = 'c1000002-0a0b-11e4-8a21-01a2b3c4d5e6';
const PFS = 'f5000001-0a0b-11e4-8a21-01a2b3c4d5e6';

const ROUTER = 1;
const BLOCK = 2;
const HAMMER2 = 3;
const CLIENT = 63;

/** The filter of a router's LNK_CONN, which asks for everything. */
const everything: Omit<LnkConnFilter, 'dialect'> = {
  peerMaskLo: 0xffffffff,
  peerMaskHi: 0xffffffff,
  peerType: ROUTER,
  clusterId: NIL,
};

/** A tree and its peers by short names: a connection has a letter, a link the letter of its connection. */
class Mesh {
  readonly tree = new SpanTree();
  readonly dialect: SpanKey['dialect'];
  readonly #connections = new Map<string, Connection>();
  #nextId = 1;

  constructor(dialect: SpanKey['dialect']) {
    this.dialect = dialect;
  }

  connection(name: string, gateway = 'g'): Connection {
    let connection = this.#connections.get(name);
    if (connection === undefined) {
      connection = this.tree.addConnection(gateway, this.#nextId++, name);
      this.#connections.set(name, connection);
    }
    return connection;
  }

  asks(name: string, filter: Partial<LnkConnFilter> = {}): LnkConn {
    return this.tree.addLnkConn(this.connection(name), this.#nextId++, {
      dialect: this.dialect,
      ...everything,
      ...filter,
    });
  }

  offers(name: string, dist: number, span: Partial<SpanKey> = {}): Link {
    const id = this.#nextId++;
    return this.tree.addLink(this.connection(name), id, {
      dialect: this.dialect,
      clusterId: VOLUME,
      nodeId: PFS,
      peerType: HAMMER2,
      peerLabel: '',
      label: '',
      dist,
      rnss: 0,
      stamp: id,
      ...span,
    });
  }

  /** The calls of a flush: `+a` opens a relay of a link of connection a, `-a` closes it, `a gone`. */
  flush(): string[] {
    const calls: string[] = [];
    this.tree.flush({
      open: (link) => calls.push(`+${link.connection.data}`),
      close: (link) => calls.push(`-${link.connection.data}`),
      gone: (link) => calls.push(`${link.connection.data} gone`),
    });
    return calls;
  }
}

const of = (links: Iterable<Link>): unknown[] => [...links].map((link) => link.connection.data).sort();
const verdicts = (explanations: Explanation[]): string[] =>
  explanations.map((e) => `${e.link.connection.data} ${e.verdict}${e.refused ? ' refused' : ''}`);

describe('how many links are relayed', () => {
  it('linkid: the best two, circuit: the best', () => {
    for (const [dialect, taken] of [
      ['linkid', ['a', 'b']],
      ['circuit', ['b']],
    ] as const) {
      const mesh = new Mesh(dialect);
      const peer = mesh.asks('peer');
      mesh.offers('a', 2);
      mesh.offers('b', 1);
      mesh.offers('c', 3);
      mesh.flush();
      expect(of(peer.relays())).toEqual(taken);
    }
  });

  it('a better link takes the place of the worst one, and gives it back when it goes', () => {
    const mesh = new Mesh('circuit');
    mesh.asks('peer');
    mesh.offers('a', 2);
    expect(mesh.flush()).toEqual(['+a']);
    const better = mesh.offers('b', 1);
    expect(mesh.flush()).toEqual(['+b', '-a']);
    mesh.tree.removeLink(better);
    expect(mesh.flush()).toEqual(['b gone', '+a']);
    expect(mesh.flush()).toEqual([]);
  });

  it('one relay on each LNK_CONN of a connection', () => {
    const mesh = new Mesh('linkid');
    const first = mesh.asks('peer');
    const second = mesh.asks('peer');
    const link = mesh.offers('a', 0);
    expect(mesh.flush()).toEqual(['+a', '+a']);
    expect([...link.relays]).toEqual([first, second]);
    mesh.tree.removeLnkConn(first);
    expect(mesh.flush()).toEqual(['a gone']);
    expect([...link.relays]).toEqual([second]);
  });
});

describe('the walk stops, it does not skip', () => {
  it('at a link of the LNK_CONN’s own connection, whatever links follow', () => {
    const mesh = new Mesh('linkid');
    const peer = mesh.asks('peer');
    mesh.offers('a', 0);
    mesh.offers('peer', 1);
    mesh.offers('b', 2);
    mesh.flush();
    expect(of(peer.relays())).toEqual(['a']);
    const node = [...mesh.tree.clusters()][0]!.nodes()[0]!;
    expect(verdicts(mesh.tree.explain(node, peer))).toEqual(['a taken', 'peer own-connection', 'b after-stop']);
  });

  it('a ring of three: a link is not relayed back to a peer that has a better one', () => {
    const mesh = new Mesh('circuit');
    const [a, b, c] = [mesh.asks('a'), mesh.asks('b'), mesh.asks('c')];
    mesh.offers('a', 0);
    mesh.offers('b', 1);
    mesh.flush();
    expect([of(a.relays()), of(b.relays()), of(c.relays())]).toEqual([[], ['a'], ['a']]);
  });

  it('at a peer_type that the mask does not have, in either half of the mask', () => {
    const mesh = new Mesh('linkid');
    const low = mesh.asks('low', { peerMaskLo: 1 << HAMMER2, peerMaskHi: 0 });
    const high = mesh.asks('high', { peerMaskLo: 0, peerMaskHi: 0x80000000 });
    mesh.offers('a', 0);
    mesh.offers('b', 1, { peerType: BLOCK });
    mesh.offers('c', 2);
    mesh.offers('d', 0, { nodeId: OTHER_VOLUME, peerType: CLIENT });
    mesh.flush();
    expect(of(low.relays())).toEqual(['a']);
    expect(of(high.relays())).toEqual(['d']);
    const node = [...mesh.tree.clusters()][0]!.nodes().find((n) => n.nodeId === PFS)!;
    expect(verdicts(mesh.tree.explain(node, low))).toEqual(['a taken', 'b peer-mask', 'c after-stop']);
  });

  // Limits: spantree/src/tree.ts DEFAULT_MAX_DIST
  it('past dist 16: 16 is relayed, 17 is not', () => {
    for (const dialect of ['linkid', 'circuit'] as const) {
      const mesh = new Mesh(dialect);
      const peer = mesh.asks('peer');
      mesh.offers('a', 16);
      mesh.offers('b', 17, { nodeId: OTHER_VOLUME });
      mesh.flush();
      expect(of(peer.relays())).toEqual(['a']);
    }
  });
});

describe('an unreachable link is skipped, not stopped at', () => {
  it('for the LNK_CONNs of that gateway only, until it is reachable again', () => {
    const mesh = new Mesh('circuit');
    mesh.connection('near', 'g1');
    mesh.connection('far', 'g2');
    const near = mesh.asks('near');
    const far = mesh.asks('far');
    mesh.connection('a', 'g3');
    const best = mesh.offers('a', 0);
    mesh.offers('b', 1);
    mesh.tree.setUnreachable('g1', new Set(['g3']));
    mesh.flush();
    expect([of(near.relays()), of(far.relays())]).toEqual([['b'], ['a']]);
    expect(verdicts(mesh.tree.explain(best.node, near))).toEqual(['a unreachable', 'b taken']);
    // Also for a link that comes later.
    const late = mesh.offers('a', 0, { nodeId: OTHER_VOLUME });
    mesh.flush();
    expect(of(near.relays())).toEqual(['b']);
    expect([...late.relays]).toEqual([far]);
    expect(mesh.tree.setUnreachable('g1', new Set())).toEqual(new Set(['g3']));
    expect(mesh.flush()).toEqual(['+a', '-b', '+a']);
  });
});

describe('which link is best', () => {
  it('dist: signed in linkid, a negative one is 0; unsigned in circuit', () => {
    const linkid = new Mesh('linkid');
    const linkidPeer = linkid.asks('peer');
    linkid.offers('a', 0);
    linkid.offers('b', 1);
    const last = linkid.offers('negative', 0xfff0bdc0);
    linkid.flush();
    expect(of(linkidPeer.relays())).toEqual(['a', 'negative']);
    expect(last.dist).toBe(0);
    // The negative one is not nearer than the link that was there before.
    linkid.offers('c', 0);
    linkid.flush();
    expect(verdicts(linkid.tree.explain(last.node, linkidPeer)).slice(0, 2)).toEqual(['a taken', 'negative taken']);

    const circuit = new Mesh('circuit');
    const circuitPeer = circuit.asks('peer');
    const far = circuit.offers('far', -1);
    circuit.flush();
    expect(of(circuitPeer.relays())).toEqual([]);
    expect(verdicts(circuit.tree.explain(far.node, circuitPeer))).toEqual(['far too-far']);
    circuit.offers('a', 1);
    circuit.flush();
    expect(of(circuitPeer.relays())).toEqual(['a']);
  });

  it('circuit: then rnss, unsigned; linkid does not look at it', () => {
    const rnss = (dialect: SpanKey['dialect']): unknown[] => {
      const mesh = new Mesh(dialect);
      mesh.offers('c', 1, { rnss: -1 });
      mesh.offers('b', 1, { rnss: 0x80000000 });
      return mesh.offers('a', 1, { rnss: 7 }).node.links.map((link) => link.connection.data);
    };
    expect(rnss('circuit')).toEqual(['a', 'b', 'c']);
    expect(rnss('linkid')).toEqual(['c', 'b', 'a']);
  });

  it('a suspect ranks behind equally near ones, not behind farther ones, until it shows life', () => {
    const mesh = new Mesh('circuit');
    mesh.asks('peer');
    mesh.offers('a', 1);
    mesh.offers('b', 1);
    mesh.offers('c', 2);
    expect(mesh.flush()).toEqual(['+a']);
    mesh.tree.setSuspect(mesh.connection('a'), true);
    expect(mesh.flush()).toEqual(['+b', '-a']);
    mesh.tree.setSuspect(mesh.connection('b'), true);
    expect(mesh.flush()).toEqual(['+a', '-b']);
    mesh.tree.setSuspect(mesh.connection('a'), false);
    expect(mesh.flush()).toEqual([]);
  });

  it('then stamp, gateway, id: in whatever order links are added', () => {
    const spans = [
      { name: 'a', gateway: 'g2', stamp: 1 },
      { name: 'b', gateway: 'g1', stamp: 2 },
      { name: 'c', gateway: 'g2', stamp: 2 },
    ];
    for (const heard of [spans, [...spans].reverse()]) {
      const mesh = new Mesh('linkid');
      let node: Link['node'] | undefined;
      for (const { name, gateway, stamp } of heard) {
        mesh.connection(name, gateway);
        node = mesh.offers(name, 1, { stamp }).node;
      }
      expect(node!.links.map((link) => link.connection.data)).toEqual(['a', 'b', 'c']);
    }
    const tree = new SpanTree();
    const connection = tree.addConnection('g', 1);
    const span = new Mesh('linkid').offers('x', 0).span;
    for (const id of [3, 1, 2]) tree.addLink(connection, id, span);
    expect([...tree.clusters()][0]!.nodes()[0]!.links.map((link) => link.id)).toEqual([1, 2, 3]);
  });
});

describe('filters', () => {
  it('linkid: a HAMMER2 peer gets HAMMER2 links of its own cluster and of the nil one', () => {
    const mesh = new Mesh('linkid');
    const mount = mesh.asks('mount', { peerType: HAMMER2, clusterId: VOLUME });
    const router = mesh.asks('router', { clusterId: VOLUME });
    mesh.offers('own', 0);
    mesh.offers('nil', 0, { clusterId: NIL });
    const other = mesh.offers('other', 0, { clusterId: OTHER_VOLUME });
    mesh.offers('block', 0, { clusterId: OTHER_VOLUME, nodeId: VOLUME, peerType: BLOCK });
    mesh.flush();
    expect(of(mount.relays())).toEqual(['block', 'nil', 'own']);
    expect(of(router.relays())).toEqual(['block', 'nil', 'other', 'own']);
    expect(verdicts(mesh.tree.explain(other.node, mount))).toEqual(['other other-cluster']);
  });

  it('circuit: a CLIENT gets no CLIENTs, and with a peer_id only that cluster', () => {
    const mesh = new Mesh('circuit');
    const any = mesh.asks('any', { peerType: CLIENT });
    const one = mesh.asks('one', { peerType: CLIENT, clusterId: VOLUME });
    const mount = mesh.asks('mount', { peerType: HAMMER2, clusterId: VOLUME });
    mesh.offers('own', 0);
    mesh.offers('other', 0, { clusterId: OTHER_VOLUME });
    mesh.offers('nil', 0, { clusterId: NIL });
    const client = mesh.offers('client', 0, { peerType: CLIENT });
    mesh.flush();
    expect(of(any.relays())).toEqual(['nil', 'other', 'own']);
    expect(of(one.relays())).toEqual(['own']);
    expect(of(mount.relays())).toEqual(['client', 'nil', 'other', 'own']);
    expect(verdicts(mesh.tree.explain(client.node, any))).toEqual(['client both-clients']);
  });

  it('the dialects never mix', () => {
    const mesh = new Mesh('linkid');
    const circuit = mesh.asks('peer', { dialect: 'circuit' });
    const link = mesh.offers('a', 0);
    expect(mesh.flush()).toEqual([]);
    expect(verdicts(mesh.tree.explain(link.node, circuit))).toEqual(['a other-dialect']);
  });
});

describe('a refused relay', () => {
  it('counts as taken, and is not offered again by changes that leave the selection as it is', () => {
    const mesh = new Mesh('linkid');
    const peer = mesh.asks('peer');
    const refused = mesh.offers('a', 0);
    mesh.offers('b', 1);
    mesh.flush();
    mesh.tree.refuse(peer, refused);
    mesh.offers('c', 2);
    mesh.asks('another');
    expect(mesh.flush().filter((call) => call === '+c' || call === '-a')).toEqual([]);
    expect(of(peer.relays())).toEqual(['b']);
    expect(verdicts(mesh.tree.explain(refused.node, peer))).toEqual(['a taken refused', 'b taken', 'c width-full']);
    expect(mesh.tree.counts.refused).toBe(1);
  });

  it('is offered again when the set of taken links changes', () => {
    const mesh = new Mesh('linkid');
    const peer = mesh.asks('peer');
    const refused = mesh.offers('a', 1);
    mesh.offers('b', 2);
    mesh.flush();
    mesh.tree.refuse(peer, refused);
    mesh.offers('c', 0);
    expect(mesh.flush()).toEqual(['+c', '+a', '-b']);
    expect(mesh.tree.counts.refused).toBe(0);
  });

  it('is offered again when another taken link goes, even if it is the only one left', () => {
    const mesh = new Mesh('linkid');
    const peer = mesh.asks('peer');
    const refused = mesh.offers('a', 1);
    const other = mesh.offers('b', 2);
    mesh.flush();
    mesh.tree.refuse(peer, refused);
    mesh.tree.removeLink(other);
    expect(mesh.flush()).toEqual(['b gone', '+a']);
  });

  it('stays refused if the other taken link went before the refusal', () => {
    const mesh = new Mesh('linkid');
    const peer = mesh.asks('peer');
    const link = mesh.offers('a', 1);
    const other = mesh.offers('b', 2);
    mesh.flush();
    mesh.tree.removeLink(other);
    mesh.tree.refuse(peer, link);
    expect(mesh.flush()).toEqual(['b gone']);
    mesh.tree.flush({ open: () => expect.fail('offered again'), close: () => {} });
  });

  it('is offered again to a LNK_CONN that is opened anew, and stays refused on others', () => {
    const mesh = new Mesh('circuit');
    const peer = mesh.asks('peer');
    const stays = mesh.asks('stays');
    const link = mesh.offers('a', 0);
    mesh.flush();
    mesh.tree.refuse(peer, link);
    mesh.tree.refuse(stays, link);
    mesh.tree.removeLnkConn(peer);
    const anew = mesh.asks('peer');
    expect(mesh.flush()).toEqual(['+a']);
    expect([...link.relays]).toEqual([anew]);
  });

  it('of a pair without an open relay is ignored: the refusal crossed our close', () => {
    const mesh = new Mesh('circuit');
    const peer = mesh.asks('peer');
    const worse = mesh.offers('a', 1);
    mesh.flush();
    const better = mesh.offers('b', 0);
    mesh.flush();
    mesh.tree.refuse(peer, worse);
    mesh.tree.removeLink(better);
    expect(mesh.flush()).toEqual(['b gone', '+a']);
  });
});

describe('adoption', () => {
  it('of exactly the relays that selection takes changes nothing', () => {
    const mesh = new Mesh('linkid');
    const peer = mesh.asks('peer');
    const [a, b] = [mesh.offers('a', 0), mesh.offers('b', 1)];
    mesh.tree.adoptRelay(peer, a);
    mesh.tree.adoptRefusal(peer, b);
    expect(mesh.flush()).toEqual([]);
    expect(of(peer.relays())).toEqual(['a']);
  });

  it('of more relays than selection takes closes the others, and nothing else', () => {
    const mesh = new Mesh('circuit');
    const peer = mesh.asks('peer');
    for (const [dist, name] of ['a', 'b', 'c', 'd'].entries()) mesh.tree.adoptRelay(peer, mesh.offers(name, dist));
    expect(mesh.flush().sort()).toEqual(['-b', '-c', '-d']);
    expect(of(peer.relays())).toEqual(['a']);
  });

  it('of fewer opens the missing ones, and offers again those refused under another selection', () => {
    const mesh = new Mesh('linkid');
    const peer = mesh.asks('peer');
    mesh.tree.adoptRefusal(peer, mesh.offers('a', 0));
    mesh.offers('b', 1);
    expect(mesh.flush()).toEqual(['+a', '+b']);
  });

  it('an open relay overrides a refused one, and the other way round', () => {
    const mesh = new Mesh('circuit');
    const peer = mesh.asks('peer');
    const link = mesh.offers('a', 0);
    mesh.tree.adoptRefusal(peer, link);
    mesh.tree.adoptRelay(peer, link);
    expect(mesh.tree.counts).toMatchObject({ relays: 1, refused: 0 });
    mesh.tree.adoptRefusal(peer, link);
    expect(mesh.tree.counts).toMatchObject({ relays: 0, refused: 1 });
    expect(mesh.flush()).toEqual([]);
  });
});
