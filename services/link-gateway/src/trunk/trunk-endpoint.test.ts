import { BLK_READ, CREATE } from '@spanmesh/dmsg/command';
import { TRUNK } from '@spanmesh/dmsg/dialect';
import { FrameReader } from '@spanmesh/dmsg/framing';
import { SALT_AT } from '@spanmesh/dmsg/header';
import { encodeMessage } from '@spanmesh/dmsg/message';
import { OutBuffer } from '@spanmesh/dmsg/out-buffer';
import type { EndingJob } from '@spanmesh/dmsg/transaction';
import { readU32 } from '@spanmesh/dmsg/words';
import type { Pressure } from '@spanmesh/dmsg-socket/stream/pressure';
import { describe, expect, it } from 'vitest';
import { FREE_WINDOW, InWindow, OutWindow } from './credit.ts';
import { ROUTE_OPEN } from './messages.ts';
import { Route } from './route.ts';
import { makeTrunkEndpoint } from './trunk-endpoint.ts';
import { TrunkOutbox } from './trunk-outbox.ts';

const DISCARDED = { onMessage() {}, onLost() {} };
const atOnce = (job: EndingJob) => void [...job];

function endpoint({ read = 0, maxTransactions }: { read?: number; maxTransactions?: number } = {}) {
  const out = new OutBuffer();
  const outbox = new TrunkOutbox(out, new OutWindow(FREE_WINDOW));
  const noted: Pressure[] = [];
  const flow = { read, sentInto: (pressure: Pressure) => void noted.push(pressure) };
  const window = new OutWindow(77);
  const route = new Route(
    { link: 1, dialect: 'circuit', source: null, destination: 0 },
    {
      inWindow: new InWindow(
        1,
        null,
        () => 0,
        () => {},
      ),
      out: window,
    },
    {
      isHigh: false,
      waiting: new Set(),
      out: outbox,
      flow,
      inSlices: atOnce,
      routeTaken() {},
      routeClosed() {},
      routeGone() {},
      creditWaits() {},
    },
  );
  const made = makeTrunkEndpoint(
    { out: outbox, handler: { onOpen() {}, onOneWay() {} }, inSlices: atOnce },
    maxTransactions,
  );
  return { out, window, route, noted, endpoint: made };
}

/** The window that each written message is marked with. The reader also checks the counters in the salts. */
function windows(out: OutBuffer): number[] {
  const found: number[] = [];
  const reader = new FrameReader({ rules: TRUNK });
  const sink = {
    onFrame: ({ buf, off }: { buf: Uint8Array; off: number }) => void found.push(readU32(buf, off + SALT_AT) >>> 8),
  };
  for (const slice of out.take()) reader.push(slice, sink);
  return found;
}

describe('an endpoint of a trunk', () => {
  it('charges messages on a route to its window, at any depth, and marks them; other messages to no window', () => {
    const { out, window, route, endpoint: made } = endpoint();
    const circuit = made.open(ROUTE_OPEN, null, route);
    const tx = made.open(BLK_READ, circuit, DISCARDED);
    const child = made.open(BLK_READ, tx, DISCARDED, null, 0, new Uint8Array(70));
    made.oneWay(BLK_READ, 0, null, null, circuit);
    made.oneWay(BLK_READ);
    made.send(child, BLK_READ);
    made.end(circuit);
    expect(window.sent).toBe(128 + (128 + 128) + 128 + 128 + 3 * 64);
    expect(windows(out)).toEqual([0, 77, 77, 77, 0, 77, 77, 77, 77]);
  });

  it('charges messages that it passes on', () => {
    const { out, window, route, endpoint: made } = endpoint();
    const circuit = made.open(ROUTE_OPEN, null, route);
    out.take();
    const cmd = (BLK_READ | CREATE) >>> 0;
    const bytes = encodeMessage({ rules: TRUNK, cmd, msgid: { lo: 1, hi: 0 }, aux: new Uint8Array(100), salt: 0 });
    new FrameReader({ rules: TRUNK }).push(bytes, {
      onFrame: (frame) => void made.openForwarded(circuit, DISCARDED, frame),
    });
    expect([window.sent, readU32(bytes, SALT_AT) >>> 8]).toEqual([256, 77]);
  });

  it('tells the flow which route a read sends into, and nothing outside of a read or of routes', () => {
    const { noted, route, endpoint: made } = endpoint({ read: 1 });
    const circuit = made.open(ROUTE_OPEN, null, route);
    made.oneWay(BLK_READ);
    expect(noted).toEqual([]);
    made.send(made.open(BLK_READ, circuit, DISCARDED), BLK_READ);
    expect(noted).toEqual([route, route]);
    const quiet = endpoint();
    quiet.endpoint.open(BLK_READ, quiet.endpoint.open(ROUTE_OPEN, null, quiet.route), DISCARDED);
    expect(quiet.noted).toEqual([]);
  });

  // Limits: trunk/limits.ts MAX_TRUNK_TRANSACTIONS
  it('opens no more transactions than the other side takes', () => {
    const { route, endpoint: made } = endpoint({ maxTransactions: 2 });
    const circuit = made.open(ROUTE_OPEN, null, route);
    made.open(BLK_READ, circuit, DISCARDED);
    expect(() => made.open(BLK_READ, circuit, DISCARDED)).toThrow('too many open transactions');
    expect(made.openCount).toBe(2);
  });
});
