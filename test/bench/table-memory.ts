import { randomBytes } from 'node:crypto';
import { LNK_SPAN } from '@spanmesh/dmsg/command';
import { REPLAY_DEFAULTS, ReplayMemory } from '@spanmesh/dmsg/crypto/replay';
import { CIRCUIT } from '@spanmesh/dmsg/dialect';
import { Endpoint } from '@spanmesh/dmsg/endpoint';
import { OutBuffer } from '@spanmesh/dmsg/out-buffer';
import { encodeLnkConn, lnkConnBytes } from '@spanmesh/dmsg/payload/lnk-conn';
import { RandomPool, SaltSequence } from '@spanmesh/dmsg/salt';
import type { TransactionHandler } from '@spanmesh/dmsg/transaction';
import { Reports } from '@spanmesh/link-gateway/attach/reports';
import { Handles } from '@spanmesh/link-gateway/messaging/handles';
import { HeldClusters } from '@spanmesh/link-gateway/messaging/held-clusters';
import { GatewayMetrics } from '@spanmesh/link-gateway/metrics';
import { OpenTables } from '@spanmesh/link-gateway/peers/open-tables';
import { Link, LnkConn, Peer, RelaySource } from '@spanmesh/link-gateway/peers/peer';
import { Relays } from '@spanmesh/link-gateway/peers/relays';
import { StateChange } from '@spanmesh/proto/v1/gateway_control';
import { ConnectionOrigin, Dialect } from '@spanmesh/proto/v1/types';
import { systemClock } from '@spanmesh/runtime/clock';
import { CallShares } from '@spanmesh/runtime/grpc/call-shares';
import { runNow } from '@spanmesh/runtime/grpc/slices';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { collectGarbage } from '@spanmesh/runtime/process/collect-garbage';
import { FakeLeader } from '@spanmesh/topology/testing/fake-leader.fixture';
import { spanPayload, uuid } from '@spanmesh/topology/testing/payloads.fixture';
import { Gateway } from '@spanmesh/topology/trees/gateway';
import { count, printTable } from './table.ts';

const LINKS = 20_000;
const LNK_CONNS = 2000;
const RELAYS_EACH = 50;
const OTHERS = 50_000;

/** The endpoint's messages, which are never sent, are dropped after this many. */
const DROP_AFTER = 256;

const rows: string[][] = [];

/**
 * Measures the memory (heap and outside of it) that an entry keeps, as the mean of `entries` entries. The caller must
 * keep the table alive.
 */
function measure(what: string, entries: number, make: (i: number) => void): void {
  const before = used();
  for (let i = 0; i < entries; i++) make(i);
  rows.push([what, count(entries), count((used() - before) / entries)]);
}

function used(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const quiet: TransactionHandler<never> = { onMessage() {}, onLost() {} };

/** An endpoint whose messages are not sent. */
function endpointToNowhere() {
  const out = new OutBuffer();
  const salts = new SaltSequence(new RandomPool());
  const handler = { onOpen() {}, onOneWay() {} } as never;
  const endpoint = new Endpoint({ rules: CIRCUIT, generation: 1 } as never, { out, handler, salts });
  let written = 0;
  const drop = (): void => {
    if (++written % DROP_AFTER === 0) out.take();
  };
  return { endpoint, drop };
}

function lnkConnPayload(peer: number): Buffer {
  const payload = Buffer.alloc(lnkConnBytes('circuit'));
  const asks = { clusterId: uuid(1), peerMaskLo: 0xffffffff, peerMaskHi: 0xffffffff, peerType: 1 };
  const rest = { pfsType: 0, protoVersion: 1, status: 0, label: `peer${peer}` };
  encodeLnkConn({ dialect: 'circuit', mediaId: uuid(peer), ...asks, ...rest }, payload, 0);
  return payload;
}

/** Tables of a gateway for what peers have open. */
function measureGateway(): unknown {
  const tables = new OpenTables();
  const { endpoint, drop } = endpointToNowhere();
  const peer = new Peer({ id: 1, dialect: 'circuit', endpoint, queuedBytes: 0 } as never);
  const open = () => {
    drop();
    return endpoint.open(LNK_SPAN, null, quiet);
  };
  measure('transaction, open at a gateway', OTHERS, open);
  const lnkConns: LnkConn[] = [];
  measure('LNK_CONN, at its gateway, with its transaction', LNK_CONNS, (i) => {
    const lnkConn = new LnkConn(tables.nextNumber(), peer, open(), lnkConnPayload(i));
    tables.lnkConns.set(lnkConn.id, lnkConn);
    peer.lnkConns.add(lnkConn);
    lnkConns.push(lnkConn);
  });
  measure('link, at its gateway, with its transaction', LINKS, (i) => {
    const id = tables.nextNumber();
    const source = new RelaySource('', id, 'circuit', spanPayload('circuit', i, 0));
    const link = new Link(id, peer, open() as never, source, { stamp: i, sinceUs: i });
    source.local = link;
    tables.links.set(id, link);
  });
  const relays = new Relays({
    reports: new Reports(),
    metrics: new GatewayMetrics(),
    clock: { now: () => 0 },
    shares: { chargeRelay: () => {} },
    tables,
    endings: { run: () => {} },
  });
  const sources = [...tables.links.values()].map(({ source }) => source);
  measure('relay, at its gateway, with its transaction', (LINKS * RELAYS_EACH) / 10, (i) => {
    const source = sources[i % (LINKS / 10)];
    const lnkConn = lnkConns[Math.floor(i / (LINKS / 10))];
    if (source !== undefined && lnkConn !== undefined) relays.open(source, lnkConn, 1);
    drop();
  });
  return [tables, relays, endpoint];
}

/** Tables of topology for what peers have open. */
function measureTopology(): unknown {
  const { state } = new FakeLeader().core;
  const gateway = new Gateway('a', '00000001', 'a:1', '1');
  state.trees.add(gateway);
  state.trees.setCommanded(gateway, true);
  const apply = (change: Partial<StateChange>) =>
    runNow(state.applying(gateway, { ...StateChange.create(), ...change }));
  const about = {
    closing: '',
    localAddress: '192.0.2.9:987',
    owner: '',
    generation: 0,
    suspect: false,
    principal: '192.0.2.1',
  };
  const origin = ConnectionOrigin.CONNECTION_ORIGIN_ACCEPTED;
  const dialect = Dialect.DIALECT_CIRCUIT;
  measure('connection, at topology', OTHERS, (i) => {
    const remoteAddress = `192.0.2.1:${i}`;
    apply({ connectionsOpened: [{ ...about, id: i + 1, dialect, remoteAddress, origin, sinceUs: i }] });
  });
  measure('link, at topology, the only one of its node', LINKS, (i) => {
    const id = OTHERS + 1 + i;
    const numbers = { stamp: id, msgidLo: id, msgidHi: 1, sinceUs: id };
    apply({ linksOpened: [{ id, connection: 1, payload: spanPayload('circuit', i, 0), ...numbers }] });
  });
  const select = () => runNow(state.trees.selecting({ open() {}, close() {} }));
  select();
  const lnkConn = (i: number) => {
    const id = OTHERS + LINKS + 1 + i;
    apply({ lnkConnsOpened: [{ id, connection: 2 + i, payload: lnkConnPayload(i) }] });
  };
  const before = used();
  for (let i = 0; i < RELAYS_EACH; i++) lnkConn(i);
  select();
  const { relays } = state.trees.tree.counts;
  rows.push([
    'relay, at topology (cells come in steps of 16 LNK_CONNs)',
    count(relays),
    count((used() - before) / relays),
  ]);
  measure('LNK_CONN, at topology, without relays', LNK_CONNS, (i) => lnkConn(RELAYS_EACH + i));
  return state;
}

function measureOthers(): unknown {
  const replay = new ReplayMemory(REPLAY_DEFAULTS, { clock: { now: () => 0 } });
  measure('handshake that is remembered', OTHERS, () => replay.admit(randomBytes(64), 'key'));
  const logger = createLogger({ level: 'silent', service: 'bench' });
  const limits = { handles: { total: OTHERS, share: OTHERS } };
  const shares = new CallShares(limits, { clock: systemClock, logger });
  const handles = new Handles({ held: new HeldClusters(new Reports()), clock: systemClock, shares });
  const key = (i: number) => ({ dialect: Dialect.DIALECT_LINKID, id: uuid(i), peerType: 0, peerLabel: '' });
  measure('handle on a cluster of its own', OTHERS, (i) => handles.acquire(key(i), 0, 'ann'));
  handles.clear();
  return [replay, handles];
}

/** The memory that one entry of a table takes: the source of the figures in docs/limits.md. */
export async function benchTableMemory(): Promise<void> {
  const kept = [measureGateway(), measureTopology(), measureOthers()];
  printTable(`Memory of entries of tables (${kept.length} kinds)`, [['entry', 'entries', 'bytes each'], ...rows]);
}
