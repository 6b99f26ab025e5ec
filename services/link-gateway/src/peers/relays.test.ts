import { CREATE, DELETE, LNK_ERROR, LNK_PING, REPLY } from '@spanmesh/dmsg/command';
import { LINKID } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import { idOf, RecordingSide } from '@spanmesh/dmsg/recording-side.fixture';
import type { EndingJob } from '@spanmesh/dmsg/transaction';
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
/** Relays that are charged to somebody. */
let charged: number;
/** Principals whose endings were run. */
let ended: string[];

beforeEach(() => {
  charged = 0;
  ended = [];
  tables = new OpenTables();
  reports = new Reports();
  clock = new FakeClock();
  counts = new GatewayMetrics();
  relays = new Relays({
    reports,
    metrics: counts,
    clock,
    shares: {
      chargeRelay: (_relay, by) => {
        charged += by;
      },
    },
    tables,
    endings: {
      run: (principal, job) => {
        ended.push(principal);
        runNow(job);
      },
    },
  });
  side = new RecordingSide({ rules: LINKID });
  // Class Relays uses only these fields of a connection.
  peer = new Peer({ endpoint: side.endpoint, queuedBytes: 0, isOpen: true, principal: 'them' } as Connection);
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
  refuse(relay);
  return relay;
}

/** The peer closes the relay. */
function refuse(relay: Relay): void {
  side.hear(CREATE | DELETE | REPLY | LNK_ERROR, { msgid: idOf(relay.tx!) });
}

/** A relay that topology wants. */
function wanted(source: RelaySource, n = 1, on = lnkConn): Relay {
  relays.open(source, on, n);
  return source.relays.get(on.id)!;
}

/** From now on topology is told. */
function hear(): void {
  reports.begin();
  reports.cut();
}

/** What topology is told since the last call: names of the lists that are not empty. */
function told(): string[] {
  const [change] = reports.take(Number.POSITIVE_INFINITY);
  return Object.entries(change ?? {}).flatMap(([name, list]) => (Array.isArray(list) && list.length > 0 ? [name] : []));
}

/** Runs the job. Returns the units of each slice, and last those after the last slice. */
function slices(job: Generator<number, number>): number[] {
  const units: number[] = [];
  for (;;) {
    const { done, value } = job.next();
    units.push(value);
    if (done === true) return units;
  }
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

describe('relays that wait', () => {
  it('are opened as long as little is queued; those that are closing, or open by now, are passed over', () => {
    const connection = { endpoint: side.endpoint, queuedBytes: RELAY_PACE_BYTES, isOpen: true } as Connection;
    peer = new Peer(connection);
    const [on, closed] = [aLnkConn(2), aLnkConn(3)];
    const used = wanted(brought(1), 1, on);
    wanted(brought(2), 1, closed);
    const others = [3, 4, 5].map((link) => wanted(brought(link), 1, on));
    closed.closed();
    // The return path to a link whose relay waits is that relay, which is opened at once.
    expect(relays.returnPath(used.source, peer)).toBe(used);
    expect(used.tx).not.toBeNull();
    expect([peer.relays, counts.relaysOpened]).toEqual([1, 1]);
    // Each relay that is opened fills the queue by half.
    Object.defineProperty(connection, 'queuedBytes', { get: () => ((peer.relays - 1) * RELAY_PACE_BYTES) / 2 });
    relays.resume(peer);
    expect(others.map(({ tx }) => tx !== null)).toEqual([true, true, false]);
    expect([peer.waitingRelays, peer.relays, counts.relaysOpened]).toEqual([others.slice(2), 3, 3]);
  });

  it('stay closed on a connection that has ended', () => {
    peer = new Peer({ endpoint: null, queuedBytes: 0, isOpen: true } as unknown as Connection);
    const relay = wanted(brought(1));
    relays.resume(peer);
    expect([peer.relays, relay.lnkConn === lnkConn]).toEqual([0, true]);
    expect(wanted(brought(2), 1, aLnkConn(4)).tx).toBeNull();
    expect(peer.relays).toBe(0);
  });
});

describe('a relay', () => {
  it('is told of as open on demand, unless topology wants it', () => {
    hear();
    const source = brought(1);
    const relay = relays.returnPath(source, peer)!;
    expect([told(), source.leaderKnows, counts.onDemandRelays]).toEqual([['onDemandOpened', 'linksKnown'], true, 1]);
    expect(relays.returnPath(source, peer)).toBe(relay);
    expect(told()).toEqual([]);
    relays.open(source, lnkConn, 5);
    expect([told(), relay.wanted, relay.n, counts.onDemandRelays]).toEqual([['onDemandClosed'], true, 5, 0]);
    relays.open(source, lnkConn, 6);
    expect([told(), relay.n]).toEqual([[], 6]);
    relay.use = { isReturnPath: true, relayClosing: () => null };
    relays.closePair(source, lnkConn);
    expect([told(), relay.wanted, relay.closed, lnkConn.returnPaths]).toEqual([['onDemandOpened'], false, false, 1]);
    relay.use = { isReturnPath: false, relayClosing: () => null };
    relays.closePair(source, lnkConn);
    expect([told(), relay.closed]).toEqual([[], false]);
    relays.closeUnused(relay);
    expect([told(), relay.closed, lnkConn.returnPaths, counts.onDemandRelays]).toEqual([
      ['onDemandClosed'],
      true,
      0,
      0,
    ]);
  });

  it('is closed if topology does not want it, and no route needs it as a return path', () => {
    hear();
    const relay = wanted(brought(1));
    relay.use = { isReturnPath: false, relayClosing: () => null };
    relays.closePair(relay.source, lnkConn);
    expect([relay.closed, told()]).toEqual([true, []]);
  });

  it('leaves nothing when it has closed', () => {
    const source = brought(1);
    source.leaderKnows = true;
    const relay = wanted(source);
    const { tx } = relay;
    const template = source.template(0);
    expect([charged, peer.relays, counts.relays, relays.relayOf(tx!)]).toEqual([1, 1, 1, relay]);
    side.said();
    relays.close(relay, 'command');
    expect(side.saidFrames().map(({ cmd }) => cmd & DELETE)).toEqual([DELETE]);
    expect([charged, peer.relays, counts.relays, counts.onDemandRelays]).toEqual([0, 0, 0, 0]);
    expect([relay.closed, relay.tx, lnkConn.firstRelay, source.relays.size]).toEqual([true, null, null, 0]);
    expect(source.template(0)).not.toBe(template);
    expect([relays.relayOf(tx!), relays.relayOf(undefined), relays.relayOf(lnkConn.tx)]).toEqual([null, null, null]);
    // The peer's answer to our DELETE.
    refuse({ ...relay, tx } as Relay);
    expect([counts.relaysRefused, counts.relaysClosed.refused, counts.ignoredMessages]).toEqual([0, 0, 0]);
    // The leader tells when the link is gone.
    expect(tables.source('gw-2.00000001', 1)).toBe(source);
  });

  it('of a principal that is withheld is not opened', () => {
    const source = brought(1);
    source.offerer = { principal: 'they', links: new Set(), holding: null as never, isWithheld: true };
    relays.open(source, lnkConn, 1);
    expect([source.relays.size, charged]).toEqual([0, 0]);
  });

  it('counts what it does not know, but not its acknowledgement', () => {
    const { tx } = wanted(brought(1));
    side.hear(CREATE | REPLY | LNK_ERROR, { msgid: idOf(tx!) });
    expect(counts.ignoredMessages).toBe(0);
    side.hear(REPLY | LNK_PING, { msgid: idOf(tx!) });
    expect(counts.ignoredMessages).toBe(1);
  });

  it('that is lost with its connection is forgotten, and what is left of it is ended', () => {
    const relay = wanted(brought(1));
    const { tx } = relay;
    relays.onLost(tx!);
    expect([relay.closed, counts.relaysClosed.connection, ended]).toEqual([true, 1, []]);
    relays.onLost(tx!);
    expect(counts.relaysClosed.connection).toBe(1);
    let ran = 0;
    relays.routing = {
      open() {},
      oneWay() {},
      *closing() {
        ran++;
        yield 1;
      },
    };
    relays.onLost(wanted(brought(2)).tx!);
    expect([ran, ended, counts.relaysClosed.connection]).toEqual([1, ['them'], 2]);
  });

  it('hands what comes on it to routing, and what routing has to end comes before its DELETE', () => {
    const steps: unknown[] = [];
    relays.routing = {
      open: (...args) => void steps.push(args),
      oneWay: (...args) => void steps.push(args),
      *closing(): EndingJob {
        steps.push(side.said().length);
        yield 1;
        steps.push(side.said().length);
      },
    };
    const relay = wanted(brought(1));
    const [tx, frame] = [relay.tx!, {} as Frame];
    relays.onStacked(tx, lnkConn.tx, frame);
    relays.onOneWay(tx, frame);
    expect(steps.splice(0)).toEqual([
      [relay, lnkConn.tx, frame],
      [relay, frame],
    ]);
    side.said();
    relays.close(relay, 'command');
    expect([steps, side.said().length, ended]).toEqual([[0, 0], 1, ['them']]);
  });
});

describe('a relay that its peer closes', () => {
  it('is told of with the command that asked for it, and opened again only by another command', () => {
    hear();
    const source = brought(1);
    const relay = wanted(source, 3);
    refuse(relay);
    expect(reports.take(Number.POSITIVE_INFINITY)[0]?.refusals).toEqual([
      { lnkConn: 1, linkGateway: 'gw-2.00000001', link: 1, n: 3 },
    ]);
    expect([counts.relaysRefused, counts.relaysClosed.refused]).toEqual([1, 1]);
    expect([relay.closed, source.refusedBy?.has(lnkConn), lnkConn.refused?.has(source)]).toEqual([true, true, true]);
    // The link is in use as long as the refusal is remembered.
    expect(tables.source('gw-2.00000001', 1)).toBe(source);
    expect(relays.returnPath(source, peer)).toBeNull();
    expect(wanted(source, 4).closed).toBe(false);
    expect([source.refusedBy?.size, lnkConn.refused?.size]).toEqual([0, 0]);
    // Of another LNK_CONN's refusal nothing is forgotten.
    const other = aLnkConn(2);
    refuse(wanted(source, 5, other));
    relays.closePair(source, lnkConn);
    expect([source.refusedBy?.has(other), other.refused?.size]).toEqual([true, 1]);
    relays.closePair(source, other);
    expect([source.refusedBy?.size, other.refused?.size]).toEqual([0, 0]);
  });

  it('while it was open on demand is told of as closed, and not as a refusal', () => {
    hear();
    const relay = relays.returnPath(brought(1), peer)!;
    told();
    refuse(relay);
    expect([told(), counts.relaysRefused, lnkConn.refused]).toEqual([['onDemandClosed'], 1, null]);
  });

  it('when we were about to close it has not refused anything', () => {
    hear();
    const relay = wanted(brought(1));
    lnkConn.closed();
    refuse(relay);
    expect([relay.closed, counts.relaysClosed.refused, counts.relaysRefused, told()]).toEqual([true, 1, 0, []]);
    expect([relay.source.refusedBy, lnkConn.refused]).toEqual([null, null]);
  });

  it('has its refusal forgotten with the link, and with the LNK_CONN', () => {
    const [one, two] = [brought(1), brought(2)];
    for (const source of [one, two]) refuse(wanted(source));
    runNow(relays.closingAllOf(one));
    expect([one.refusedBy, [...lnkConn.refused!]]).toEqual([null, [two]]);
    runNow(relays.closingAllOn(lnkConn));
    expect([two.refusedBy?.size, lnkConn.refused]).toEqual([0, null]);
    // Nothing else has named the second link.
    expect(tables.source('gw-2.00000001', 2)).toBeUndefined();
  });
});

describe('many relays', () => {
  it('of a link are closed in slices of 64', () => {
    const source = brought(1);
    for (let id = 1; id <= 130; id++) relays.open(source, id === 1 ? lnkConn : aLnkConn(id), 1);
    expect(slices(relays.closingAllOf(source))).toEqual([64, 64, 2]);
    expect([source.relays.size, counts.relaysClosed.link]).toEqual([0, 130]);
  });

  it('of a LNK_CONN are closed in slices of 64, and its refusals are forgotten in the same', () => {
    for (let link = 1; link <= 90; link++) {
      const relay = wanted(brought(link));
      if (link > 60) refuse(relay);
    }
    expect([lnkConn.refused?.size, charged]).toEqual([30, 60]);
    expect(slices(relays.closingAllOn(lnkConn))).toEqual([64, 26]);
    expect([counts.relaysClosed.lnk_conn, charged, tables.remoteLinks.size, ended]).toEqual([60, 0, 0, []]);
  });

  it('end what runs over them first', () => {
    relays.routing = {
      open() {},
      oneWay() {},
      *closing() {
        yield 7;
      },
    };
    wanted(brought(1));
    wanted(brought(2));
    expect(slices(relays.closingAllOn(lnkConn))).toEqual([7, 7, 2]);
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

describe('the first relay of a link that is older than the LNK_CONN', () => {
  it('is measured from when the LNK_CONN was opened', () => {
    const source = brought(1);
    source.sampledUs = 1;
    const late = new LnkConn(9, peer, lnkConn.tx, Buffer.alloc(0), 15_000);
    clock.advance(20);
    relays.open(source, late, 1);
    expect([counts.firstRelay.count, source.sampledUs]).toEqual([1, 0]);
    expect(counts.firstRelay.sum).toBeCloseTo(0.005, 5);
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
