import { CREATE, DELETE, LNK_ERROR, REPLY } from '@spanmesh/dmsg/command';
import { LINKID } from '@spanmesh/dmsg/dialect';
import { idOf, RecordingSide } from '@spanmesh/dmsg/recording-side.fixture';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { runNow } from '@spanmesh/runtime/grpc/slices';
import { beforeEach, describe, expect, it } from 'vitest';
import { Reports } from '../attach/reports.ts';
import type { Connection } from '../connection/connection.ts';
import { MAX_RETURN_PATHS, MAX_RETURN_PATHS_REFUSED, RELAY_PACE_BYTES } from '../limits.ts';
import { GatewayMetrics } from '../metrics.ts';
import { spanPayload } from '../testing/gateway.fixture.ts';
import { OpenTables } from './open-tables.ts';
import type { Relay, RelaySource } from './peer.ts';
import { LnkConn, Peer } from './peer.ts';
import { Relays } from './relays.ts';

let clock: FakeClock;
let counts: GatewayMetrics;
let tables: OpenTables;
let relays: Relays;
let reports: Reports;
let side: RecordingSide;
let peer: Peer;
let lnkConn: LnkConn;

beforeEach(() => {
  tables = new OpenTables();
  reports = new Reports();
  clock = new FakeClock();
  counts = new GatewayMetrics();
  relays = new Relays({
    reports,
    metrics: counts,
    clock,
    shares: { chargeRelay: () => {} },
    tables,
    endings: { run: (_principal, job) => void [...job] },
  });
  side = new RecordingSide({ rules: LINKID });
  // Class Relays uses only these three fields of a connection.
  peer = new Peer({ endpoint: side.endpoint, queuedBytes: 0, isOpen: true } as Connection);
  lnkConn = aLnkConn(1);
});

function aLnkConn(id: number): LnkConn {
  const made = new LnkConn(id, peer, side.endpoint.open(LINKID.lnkConn, null, side.handler), Buffer.alloc(0));
  peer.lnkConns.add(made);
  return made;
}

/** A link of another gateway that is known only because a routed message came from it. */
function brought(link: number): RelaySource {
  return tables.learnRemote('gw-2.00000001', link, 'linkid', spanPayload('linkid'));
}

function refused(source: RelaySource): Relay {
  const relay = relays.returnPath(source, peer)!;
  side.hear(CREATE | DELETE | REPLY | LNK_ERROR, { msgid: idOf(relay.tx!) });
  return relay;
}

describe('relays that topology wants', () => {
  // Limits: link-gateway/src/limits.ts RELAY_PACE_BYTES
  it('are opened while few bytes are queued for the peer, and otherwise in order once the queue has drained', () => {
    const connection = peer.connection as { queuedBytes: number };
    const open = (link: number): RelaySource => {
      const source = brought(link);
      relays.open(source, lnkConn, link);
      return source;
    };
    const isOpen = (source: RelaySource) => (source.relays.get(1)?.tx ?? null) !== null;
    connection.queuedBytes = RELAY_PACE_BYTES - 1;
    expect(isOpen(open(1))).toBe(true);
    connection.queuedBytes = RELAY_PACE_BYTES;
    const second = open(2);
    connection.queuedBytes = 0;
    // It must wait behind the relay that waits already.
    const third = open(3);
    expect([isOpen(second), isOpen(third)]).toEqual([false, false]);
    connection.queuedBytes = RELAY_PACE_BYTES;
    relays.resume(peer);
    expect(isOpen(second)).toBe(false);
    connection.queuedBytes = RELAY_PACE_BYTES - 1;
    relays.resume(peer);
    expect([isOpen(second), isOpen(third), peer.waitingRelays]).toEqual([true, true, []]);
  });

  it('are not opened any more when they were closed while they waited', () => {
    const connection = peer.connection as { queuedBytes: number };
    connection.queuedBytes = RELAY_PACE_BYTES;
    const source = brought(1);
    relays.open(source, lnkConn, 1);
    const relay = source.relays.get(1)!;
    relays.close(relay, 'command');
    connection.queuedBytes = 0;
    side.said();
    relays.resume(peer);
    expect([relay.tx, side.said(), peer.waitingRelays]).toEqual([null, [], []]);
  });
});

describe('return paths', () => {
  // Limits: link-gateway/src/limits.ts MAX_RETURN_PATHS
  it('are limited on a LNK_CONN, however many spans others open elsewhere', () => {
    for (let link = 1; link <= MAX_RETURN_PATHS; link++) {
      expect(relays.returnPath(brought(link), peer)).not.toBeNull();
    }
    expect(relays.returnPath(brought(MAX_RETURN_PATHS + 1), peer)).toBeNull();
    expect(lnkConn.returnPaths).toBe(MAX_RETURN_PATHS);
    relays.closeUnused(tables.source('gw-2.00000001', 1)!.relays.get(1)!);
    expect(relays.returnPath(brought(MAX_RETURN_PATHS + 1), peer)).not.toBeNull();
  });

  it('that topology wants do not count towards the limit, until topology does not want them any more', () => {
    const source = brought(1);
    relays.returnPath(source, peer);
    relays.open(source, lnkConn, 1);
    expect(lnkConn.returnPaths).toBe(0);
    relays.close(source.relays.get(1)!, 'command');
    expect(lnkConn.returnPaths).toBe(0);
  });
});

describe('closed relays', () => {
  it('are counted by the reason why they closed', () => {
    const [unused, unwanted, lost] = [brought(1), brought(2), brought(3)];
    relays.closeUnused(relays.returnPath(unused, peer)!);
    relays.open(unwanted, lnkConn, 1);
    relays.closePair(unwanted, lnkConn);
    relays.open(lost, lnkConn, 2);
    runNow(relays.closingAllOf(lost));
    relays.open(lost, lnkConn, 3);
    runNow(relays.closingAllOn(lnkConn));
    expect(counts.relaysClosed).toEqual({ command: 1, link: 1, lnk_conn: 1, refused: 0, connection: 0, unused: 1 });
    expect(counts.relays).toBe(0);
  });
});

describe('the first relay of a link', () => {
  it('is measured at the gateway of the link, once, from when both the link and the LNK_CONN were open', () => {
    const source = brought(1);
    source.sampledUs = 1;
    clock.advance(20);
    relays.open(source, lnkConn, 1);
    relays.closePair(source, lnkConn);
    relays.open(source, lnkConn, 2);
    relays.open(brought(2), lnkConn, 3);
    expect(counts.firstRelay.count).toBe(1);
    expect(counts.firstRelay.sum).toBeCloseTo(0.02, 5);
  });
});

describe('given a return path that its peer has closed', () => {
  it('opens none to that link again', () => {
    const source = brought(7);
    expect(refused(source).closed).toBe(true);
    expect(tables.source('gw-2.00000001', 7)).toBe(source);
    expect(relays.returnPath(source, peer)).toBeNull();
  });

  it('forgets that refusal with the link', () => {
    const source = brought(7);
    refused(source);
    runNow(relays.closingAllOf(source));
    expect([lnkConn.refused, lnkConn.notOnDemand!.size, source.notOnDemand]).toEqual([null, 0, null]);
  });

  it('forgets that refusal with the LNK_CONN, and the link too, if nothing else has named it', () => {
    refused(brought(7));
    runNow(relays.closingAllOn(lnkConn));
    expect([lnkConn.notOnDemand, tables.remoteLinks.size]).toEqual([null, 0]);
  });

  // Limits: link-gateway/src/limits.ts MAX_RETURN_PATHS_REFUSED
  it('forgets the oldest refusal past the limit', () => {
    for (let link = 1; link <= MAX_RETURN_PATHS_REFUSED + 1; link++) refused(brought(link));
    expect(lnkConn.notOnDemand!.size).toBe(MAX_RETURN_PATHS_REFUSED);
    expect([tables.source('gw-2.00000001', 1), tables.source('gw-2.00000001', 2)]).toEqual([
      undefined,
      expect.anything(),
    ]);
    expect(relays.returnPath(brought(1), peer)).not.toBeNull();
  });
});
