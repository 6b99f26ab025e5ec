import { LNK_ERROR, LNK_PING, LNK_SPAN } from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Connection } from '../connection/connection.ts';
import { GatewayMetrics } from '../metrics.ts';
import { Liveness } from './liveness.ts';
import { Peer } from './peer.ts';
import { Prober } from './prober.ts';

const IDLE_MS = 400;
const PROBE_MS = 1000;

let clock: FakeClock;
let metrics: GatewayMetrics;
let connections: Map<number, Peer>;

beforeEach(() => {
  clock = new FakeClock();
  metrics = new GatewayMetrics();
  connections = new Map();
});

function prober(idleProbe = IDLE_MS, probeTimeout = PROBE_MS): Prober {
  const options = { idleProbe, probeTimeout };
  return new Prober({ options, clock, metrics, tables: { connections } });
}

/** A peer, and when each PING was sent to it. */
function aPeer() {
  const pings: number[] = [];
  const connection = {
    isOpen: true,
    isPaused: false,
    heardAt: 0,
    closed: [] as string[],
    endpoint: {
      oneWay: (cmd: number) => {
        if (cmd === LNK_PING) pings.push(clock.now());
      },
    },
    close(reason: string) {
      this.closed.push(`${reason} ${clock.now()}`);
      connections.clear();
    },
  };
  const peer = new Peer(connection as unknown as Connection);
  connections.set(connections.size, peer);
  return { peer, pings, connection };
}

describe('a peer that topology has probed', () => {
  it('is closed if it has answered a PING before, and sends nothing in time', () => {
    const { peer, pings, connection } = aPeer();
    peer.liveness.pinged(0);
    peer.liveness.answered(LNK_PING, 0);
    const probing = prober();
    clock.advance(5);
    probing.probe(peer);
    probing.probe(peer);
    expect([pings, metrics.probesSent, peer.liveness.isSuspect, clock.pending]).toEqual([[5], 1, true, 1]);
    clock.advance(PROBE_MS - 1);
    expect(connection.closed).toEqual([]);
    clock.advance(1);
    expect(connection.closed).toEqual(['half-dead 1005']);
  });

  it.each<[string, (of: ReturnType<typeof aPeer>) => void]>([
    ['has never answered a PING', () => {}],
    [
      'has sent something',
      ({ peer }) => {
        peer.liveness.answered(LNK_PING, 0);
        expect([peer.liveness.heard(), peer.liveness.heard()]).toEqual([true, false]);
      },
    ],
    [
      'is not read',
      ({ peer, connection }) => {
        peer.liveness.answered(LNK_PING, 0);
        connection.isPaused = true;
      },
    ],
    [
      'was sent another PING meanwhile',
      ({ peer }) => {
        peer.liveness.answered(LNK_PING, 0);
        clock.advance(1);
        peer.liveness.pinged(clock.now());
      },
    ],
  ])('stays if it %s', (_why, happens) => {
    const one = aPeer();
    prober().probe(one.peer);
    happens(one);
    clock.advance(10 * PROBE_MS);
    expect([one.connection.closed, one.pings.length, clock.pending]).toEqual([[], 1, 0]);
  });

  it('is not probed once its connection has ended', () => {
    const { peer, connection, pings } = aPeer();
    connection.isOpen = false;
    prober().probe(peer);
    expect([pings, peer.liveness.isSuspect, clock.pending]).toEqual([[], false, 0]);
  });
});

describe('idle peers', () => {
  it('are not probed unless the setting says so, nor once it has stopped', () => {
    aPeer();
    prober(0).start();
    expect(clock.pending).toBe(0);
    const probing = prober();
    probing.start();
    expect(clock.nextAt()).toBe(IDLE_MS / 2);
    probing.stop();
    probing.stop();
    clock.advance(10_000);
    expect([metrics.probesSent, clock.pending]).toEqual([0, 0]);
  });

  it.each([
    [IDLE_MS, PROBE_MS, 200],
    [PROBE_MS, IDLE_MS, 200],
    [90, PROBE_MS, 50],
  ])('are looked for at half of the shorter time, but not too often (%i, %i)', (idle, probe, every) => {
    prober(idle, probe).start();
    expect(clock.nextAt()).toBe(every);
    clock.advance(every);
    expect(clock.nextAt()).toBe(2 * every);
  });

  it('that have never answered are sent a PING again and again, and stay', () => {
    const { pings, connection } = aPeer();
    prober().start();
    clock.advance(IDLE_MS - 1);
    expect(pings).toEqual([]);
    clock.advance(3 * IDLE_MS);
    expect([pings, metrics.probesSent, connection.closed]).toEqual([[400, 800, 1200], 3, []]);
    // A peer that sends something is not idle.
    connection.heardAt = clock.now();
    clock.advance(IDLE_MS);
    expect(pings).toHaveLength(3);
  });

  it('that have answered before are closed when a PING has had no answer in time', () => {
    const { peer, pings, connection } = aPeer();
    peer.liveness.pinged(0);
    peer.liveness.answered(LNK_PING, 0);
    prober(IDLE_MS, IDLE_MS).start();
    clock.advance(2 * IDLE_MS - 1);
    expect([pings, connection.closed]).toEqual([[400], []]);
    clock.advance(1);
    expect([pings, connection.closed]).toEqual([[400], ['half-dead 800']]);
  });

  it('that we do not read are left alone, and the others are looked at', () => {
    const [one, other] = [aPeer(), aPeer()];
    one.connection.isPaused = true;
    prober().start();
    clock.advance(IDLE_MS);
    expect([one.pings, other.pings]).toEqual([[], [400]]);
  });
});

describe('the answer to a PING', () => {
  it('is PING, or ERROR NOSUPP, and only if a PING was sent', () => {
    const asked = () => {
      const liveness = new Liveness();
      liveness.pinged(7);
      return liveness;
    };
    const answers = [
      [LNK_PING, 0, true],
      [LNK_PING, ErrorCode.NOSUPP, true],
      [LNK_ERROR, ErrorCode.NOSUPP, true],
      [LNK_ERROR, 0, false],
      [LNK_SPAN, ErrorCode.NOSUPP, false],
    ] as const;
    for (const [base, error, isOne] of answers) {
      const liveness = asked();
      liveness.answered(base, error);
      expect([liveness.answersPings, liveness.pingedAt]).toEqual([isOne, 7]);
    }
    const liveness = new Liveness();
    expect([liveness.pingedAt, liveness.isSuspect, liveness.heard()]).toEqual([Number.NEGATIVE_INFINITY, false, false]);
    liveness.answered(LNK_PING, 0);
    expect(liveness.answersPings).toBe(false);
  });
});
