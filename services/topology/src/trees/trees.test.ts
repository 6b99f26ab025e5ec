import { encodeLnkConn, lnkConnBytes } from '@spanmesh/dmsg/payload/lnk-conn';
import { ConnectionOpened, LinkOpened, LnkConnOpened } from '@spanmesh/proto/v1/gateway_control';
import type { TreeChange } from '@spanmesh/proto/v1/replication';
import { Dialect } from '@spanmesh/proto/v1/types';
import { runNow } from '@spanmesh/runtime/grpc/slices';
import { type Link, SpanTree } from '@spanmesh/spantree/tree';
import { describe, expect, it } from 'vitest';
import { spanPayload, uuid } from '../testing/payloads.fixture.ts';
import { connectionData, Gateway, type RelayGroup } from './gateway.ts';
import { RelayGroups } from './relay-groups.ts';
import type { TreesEvent } from './tree-events.ts';
import { relaySet, Trees } from './trees.ts';

const CIRCUIT = Dialect.DIALECT_CIRCUIT;

function lnkConnPayload(dialect: 'linkid' | 'circuit', peerType = 1): Buffer {
  const payload = Buffer.alloc(lnkConnBytes(dialect));
  const ids = { mediaId: uuid(1), clusterId: uuid(1), peerMaskLo: 0xffffffff, peerMaskHi: 0xffffffff };
  const rest = { peerType, pfsType: 0, protoVersion: 1, status: 0, label: 'peer' };
  encodeLnkConn({ dialect, ...ids, ...rest } as never, payload, 0);
  return payload;
}

/** Trees with two gateways. `news` gives the events as texts, `noted` the names of the journal's changes. */
function rig() {
  const told: string[] = [];
  const groups: RelayGroup[] = [];
  const journal: string[] = [];
  const wordsOf = (event: TreesEvent): string => {
    switch (event.of) {
      case 'cluster':
      case 'node':
        return `${event.of} ${event.kind}`;
      case 'link':
      case 'connection':
        return `${event.of} ${event.object.id} ${event.kind}`;
      case 'lnkConn':
        return `LNK_CONN ${event.object.id} ${event.kind}`;
      case 'relays':
        groups.push(event.group);
        return `relays of ${event.group.link.id} +${event.group.open.join()} -${event.group.close.join()}`;
      case 'nonsense':
        return `nonsense: ${event.what}`;
      case 'reachable':
        return `${event.gateway.id} reaches`;
    }
  };
  const tell = (event: TreesEvent) => void told.push(wordsOf(event));
  const trees = new Trees(new SpanTree({ widths: { linkid: 2, circuit: 1 } }), { tell });
  trees.journal = (gateway, change) => {
    const [name] = Object.keys(change) as (keyof TreeChange)[];
    journal.push(`${gateway?.id ?? ''} ${name}`);
  };
  const [a, b] = [new Gateway('a', '00000001', 'a:1', '1'), new Gateway('b', '00000001', 'b:1', '1')];
  for (const gateway of [a, b]) {
    trees.add(gateway);
    trees.setCommanded(gateway, true);
  }
  const connection = (gateway: Gateway, id: number, fields: Partial<ConnectionOpened> = {}) =>
    trees.openConnection(gateway, ConnectionOpened.fromPartial({ id, dialect: CIRCUIT, ...fields }));
  const lnkConn = (gateway: Gateway, id: number, on: number, payload = lnkConnPayload('circuit')) =>
    trees.openLnkConn(gateway, LnkConnOpened.fromPartial({ id, connection: on, payload }));
  const link = (gateway: Gateway, id: number, on: number, fields: Partial<LinkOpened> = {}) => {
    const payload = spanPayload('circuit', 1, 0);
    trees.openLink(gateway, LinkOpened.fromPartial({ id, connection: on, payload, stamp: id, ...fields }));
    return gateway.links.get(id)!;
  };
  const select = () => {
    const made = new RelayGroups();
    runNow(trees.selecting(made));
    return made.take().map(({ link, open, close }) => `${link.id} +${open.join()} -${close.join()}`);
  };
  const news = () => told.splice(0);
  const noted = () => journal.splice(0);
  news();
  noted();
  return { trees, a, b, connection, lnkConn, link, select, news, noted, groups };
}

/** A link of gateway a, and a LNK_CONN of gateway b that it is relayed to. */
function relayed() {
  const made = rig();
  made.connection(made.a, 1);
  const link = made.link(made.a, 2, 1);
  made.connection(made.b, 1);
  const lnkConn = made.lnkConn(made.b, 2, 1)!;
  expect(made.select()).toEqual(['2 +2 -']);
  made.news();
  made.noted();
  return { ...made, relay: link, lnkConn };
}

describe('an object that is opened', () => {
  it('is reported once, and noted in the journal', () => {
    const { a, connection, lnkConn, link, news, noted } = rig();
    connection(a, 1);
    lnkConn(a, 2, 1);
    link(a, 3, 1);
    link(a, 4, 1, { payload: spanPayload('circuit', 2, 0) });
    link(a, 5, 1);
    expect(news()).toEqual([
      'connection 1 added',
      'LNK_CONN 2 added',
      'cluster added',
      'node added',
      'link 3 added',
      'node added',
      'link 4 added',
      'link 5 added',
    ]);
    expect(noted()).toEqual(
      ['connectionOpened', 'lnkConnOpened', 'linkOpened', 'linkOpened', 'linkOpened'].map((name) => `${a.id} ${name}`),
    );
    expect([a.connections.size, a.lnkConns.size, a.links.size]).toEqual([1, 1, 3]);
  });

  it.each([0, -1, 1.5, 2 ** 53, Number.NaN])('with the invalid number %d is dropped', (id) => {
    const { a, connection, lnkConn, link, news, noted } = rig();
    connection(a, 1);
    news();
    noted();
    connection(a, id);
    lnkConn(a, id, 1);
    link(a, id, 1);
    expect([news(), noted()]).toEqual([['nonsense: connection', 'nonsense: LNK_CONN', 'nonsense: LNK_SPAN'], []]);
  });

  it('twice, with what cannot change, on an unknown connection, of no dialect, without stamp or with an invalid peer_type is dropped', () => {
    const { a, trees, connection, lnkConn, link, news } = rig();
    connection(a, 1);
    lnkConn(a, 2, 1);
    link(a, 3, 1);
    news();
    connection(a, 1, { dialect: Dialect.DIALECT_LINKID });
    connection(a, 1, { principal: 'another' });
    connection(a, 9, { dialect: Dialect.DIALECT_UNSPECIFIED });
    lnkConn(a, 2, 1);
    lnkConn(a, 9, 9);
    lnkConn(a, 9, 1, lnkConnPayload('circuit', 64));
    lnkConn(a, 9, 1, Buffer.alloc(3));
    link(a, 3, 1);
    link(a, 9, 9);
    link(a, 9, 1, { stamp: 0 });
    link(a, 9, 1, { payload: Buffer.alloc(3) });
    expect(news()).toEqual([
      ...Array(3).fill('nonsense: connection'),
      ...Array(4).fill('nonsense: LNK_CONN'),
      ...Array(4).fill('nonsense: LNK_SPAN'),
    ]);
    expect(lnkConn(a, 9, 1, lnkConnPayload('circuit', 63))).toBeDefined();
    expect(trees.tree.counts).toMatchObject({ connections: 1, lnkConns: 2, links: 1 });
  });

  it('once more, a connection with another value, has changed, and stays the same object', () => {
    const { a, connection, link, news, noted } = rig();
    connection(a, 1, { localAddress: '192.0.2.9:987' });
    link(a, 2, 1);
    const before = a.connections.get(1)!;
    news();
    noted();
    // The rest says whether it is suspect.
    for (let i = 0; i < 2; i++) connection(a, 1, { localAddress: '192.0.2.9:988', suspect: true });
    expect([news(), noted()]).toEqual([['connection 1 changed'], [`${a.id} connectionOpened`]]);
    expect([a.connections.get(1), a.links.size, before.suspect]).toEqual([before, 1, false]);
    expect(connectionData(before).opened.localAddress).toBe('192.0.2.9:988');
    connection(a, 1, { localAddress: '192.0.2.9:988', closing: 'why' });
    expect([news(), noted()]).toEqual([['connection 1 changed'], [`${a.id} connectionClosing`]]);
  });

  it('as suspect is suspect', () => {
    const { a, connection } = rig();
    connection(a, 1, { suspect: true });
    connection(a, 2);
    expect([...a.connections.values()].map(({ suspect }) => suspect)).toEqual([true, false]);
  });
});

describe('an object that is closed', () => {
  it('takes the objects on it with it, which are reported before it', () => {
    const { a, trees, connection, lnkConn, link, news, noted } = rig();
    connection(a, 1);
    lnkConn(a, 2, 1);
    link(a, 3, 1);
    news();
    noted();
    runNow(trees.closingConnection(a.connections.get(1)));
    expect(news()).toEqual([
      'link 3 removed',
      'node removed',
      'cluster removed',
      'LNK_CONN 2 removed',
      'connection 1 removed',
    ]);
    expect(noted()).toEqual([`${a.id} connectionClosed`]);
    expect([a.connections.size, a.lnkConns.size, a.links.size]).toEqual([0, 0, 0]);
  });

  it('is reported alone; an unknown one is not reported', () => {
    const { a, trees, connection, lnkConn, link, news, noted } = rig();
    connection(a, 1);
    lnkConn(a, 2, 1);
    link(a, 3, 1);
    link(a, 4, 1);
    news();
    noted();
    trees.closeLink(a.links.get(4));
    runNow(trees.closingLnkConn(a.lnkConns.get(2)));
    trees.closeLink(undefined);
    runNow(trees.closingLnkConn(undefined));
    runNow(trees.closingConnection(undefined));
    expect(news()).toEqual(['link 4 removed', 'LNK_CONN 2 removed']);
    expect(noted()).toEqual([`${a.id} linkClosed`, `${a.id} lnkConnClosed`]);
  });

  it('as the last link of a held cluster leaves the cluster', () => {
    const { a, trees, connection, link, news, noted } = rig();
    const key = { dialect: CIRCUIT, id: uuid(1), peerType: 1, peerLabel: 'cluster' };
    connection(a, 1);
    trees.hold(a, key);
    link(a, 3, 1);
    trees.closeLink(a.links.get(3));
    trees.release(a, key);
    expect(news().filter((one) => one.startsWith('cluster'))).toEqual([
      'cluster added',
      'cluster changed',
      'cluster changed',
      'cluster removed',
    ]);
    expect(noted().filter((one) => one.includes('cluster'))).toEqual([
      `${a.id} clusterHeld`,
      `${a.id} clusterReleased`,
    ]);
  });

  it('goes with its gateway, as all data of the gateway do', () => {
    const { a, b, trees, connection, link, news, noted } = rig();
    connection(a, 1);
    link(a, 2, 1);
    runNow(trees.settingUnreachable(a, [b.id]));
    trees.hold(a, { dialect: CIRCUIT, id: uuid(7), peerType: 1, peerLabel: '' });
    news();
    noted();
    trees.remove(a);
    expect([a.gone, trees.gateways.has(a.id), trees.tree.reaches(a.id, b.id)]).toEqual([true, false, true]);
    expect(noted()).toEqual([`${a.id} gatewayGone`]);
    expect(news()).toContain('cluster removed');
    trees.remove(b);
    expect(Object.entries(trees.tables()).filter(([, size]) => size !== 0)).toEqual([]);
  });
});

describe('a change', () => {
  it('is reported and noted once', () => {
    const { a, b, trees, connection, link, news, noted } = rig();
    connection(a, 1);
    link(a, 2, 1);
    news();
    noted();
    for (let i = 0; i < 2; i++) {
      trees.setStatus(a, 2, 7);
      trees.setSuspect(a.connections.get(1), true);
      trees.setClosing(a.connections.get(1), 'why');
      runNow(trees.settingUnreachable(a, [a.id, b.id]));
      trees.setCommanded(a, false);
    }
    trees.setStatus(a, 9, 7);
    trees.setSuspect(undefined, true);
    trees.setClosing(undefined, 'why');
    expect(news()).toEqual(['link 2 changed', 'connection 1 changed', 'connection 1 changed']);
    expect(noted()).toEqual(
      ['linkStatus', 'suspicion', 'connectionClosing', 'trunks', 'gatewayPut'].map((name) => `${a.id} ${name}`),
    );
    runNow(trees.settingUnreachable(a, []));
    expect([news(), noted()]).toEqual([[`${a.id} reaches`], [`${a.id} trunks`]]);
  });
});

describe('relays', () => {
  it('that are selected are reported, unless their gateway is not commanded', () => {
    const { trees, a, b, relay, select, noted, link } = relayed();
    expect(select()).toEqual([]);
    expect(noted()).toEqual([' selected']);
    trees.setCommanded(b, false);
    link(a, 3, 1, { stamp: 1 });
    expect(select()).toEqual([]);
    trees.setCommanded(b, true);
    expect(select().toSorted()).toEqual(['2 + -2', '3 +2 -']);
    expect(relay.relayCount).toBe(0);
  });

  it('that the peer closes are refused once', () => {
    const { trees, b, relay, lnkConn, select, news, noted, groups } = relayed();
    expect(trees.refuse(b, relay, lnkConn)).toBe(true);
    expect([news(), noted(), trees.closed.refused]).toEqual([['relays of 2 + -2'], [`${b.id} relaysRefused`], 1]);
    expect(groups[0]).toMatchObject({ gateway: b, link: relay, open: [], close: [lnkConn.id] });
    expect(trees.refuse(b, relay, lnkConn)).toBe(false);
    expect([news(), noted(), trees.closed.refused, select()]).toEqual([[], [], 1, []]);
  });

  it('that a new snapshot confirms are unchanged', () => {
    const { trees, b, relay, lnkConn, select, news, noted } = relayed();
    runNow(trees.forgettingRelays(b));
    trees.adoptRelays(b, relay, [lnkConn.id]);
    runNow(trees.tellingRelays(b));
    expect([news(), noted()]).toEqual([[], [`${b.id} relaysForgotten`, `${b.id} relaysAdopted`, `${b.id} relaysTold`]]);
    expect([select(), trees.closed.snapshot, relay.relayCount]).toEqual([[], 0, 1]);
  });

  it('that a new snapshot does not contain are closed, and are opened again', () => {
    const { trees, b, select, news, relay } = relayed();
    runNow(trees.forgettingRelays(b));
    expect(relay.relayCount).toBe(0);
    runNow(trees.tellingRelays(b));
    expect([news(), trees.closed.snapshot]).toEqual([['relays of 2 + -2'], 1]);
    expect(select()).toEqual(['2 +2 -']);
    expect(trees.tables()).toMatchObject({ untold: 0 });
  });

  it('that only a new snapshot contains are open; the next selection closes those that it does not take', () => {
    const { trees, a, b, lnkConn, link, select, news, noted } = relayed();
    const worse = link(a, 3, 1, { payload: spanPayload('circuit', 1, 5) });
    select();
    news();
    noted();
    trees.adoptRelays(b, worse, [lnkConn.id, 99]);
    expect([news(), noted()]).toEqual([['relays of 3 +2 -'], [`${b.id} relaysAdopted`]]);
    trees.adoptRelays(b, worse, [99]);
    expect([news(), noted()]).toEqual([[], []]);
    expect(select()).toEqual(['3 + -2']);
  });

  it('that were refused before are not offered', () => {
    const { trees, b, relay, lnkConn, select, noted } = relayed();
    runNow(trees.forgettingRelays(b));
    trees.adoptRefusals(b, relay, [lnkConn.id]);
    trees.adoptRefusals(b, relay, [99]);
    runNow(trees.tellingRelays(b));
    expect(noted()).toEqual([`${b.id} relaysForgotten`, `${b.id} refusalsAdopted`, `${b.id} relaysTold`]);
    expect(select()).toEqual([]);
    expect(trees.tree.counts.refused).toBe(1);
  });

  it('on demand are reported unless they are selected, too, and end with the link or the LNK_CONN', () => {
    const { trees, a, b, relay, lnkConn, link, news, noted } = relayed();
    const other = link(a, 3, 1, { payload: spanPayload('circuit', 1, 5) });
    news();
    noted();
    const set = (of: Link) => relaySet(b, of, [lnkConn.id, 99]);
    trees.setOnDemand(b, set(relay), true);
    expect([news(), noted()]).toEqual([[], [`${b.id} onDemandOpened`]]);
    for (let i = 0; i < 2; i++) trees.setOnDemand(b, set(other), true);
    expect(news()).toEqual(['relays of 3 +2 -']);
    for (let i = 0; i < 2; i++) trees.setOnDemand(b, set(other), false);
    expect(news()).toEqual(['relays of 3 + -2']);
    trees.setOnDemand(b, { linkGateway: 'c.00000001', link: 1, lnkConns: [lnkConn.id] }, true);
    expect(news()).toEqual([]);
    trees.setOnDemand(b, set(other), true);
    trees.closeLink(other);
    runNow(trees.closingLnkConn(lnkConn));
    trees.setOnDemand(b, set(relay), true);
    expect(news()).toEqual(['relays of 3 +2 -', 'link 3 removed', 'LNK_CONN 2 removed']);
  });

  it('name the gateway of the link, unless it is the relay’s own', () => {
    const { a, b, relay } = relayed();
    expect(relaySet(b, relay, [2])).toEqual({ linkGateway: a.id, link: 2, lnkConns: [2] });
    expect(relaySet(a, relay, [2])).toEqual({ linkGateway: '', link: 2, lnkConns: [2] });
  });
});

it('each gateway has a number, which is never used again, and is noted when it is added', () => {
  const { trees, a, b, noted } = rig();
  trees.remove(a);
  const c = new Gateway('c', '00000001', '', '');
  trees.add(c);
  expect([a.number, b.number, c.number]).toEqual([1, 2, 3]);
  expect(noted()).toEqual([`${a.id} gatewayGone`, `${c.id} gatewayPut`]);
  expect(trees.linkOf(c, '', 1)).toBeUndefined();
});
