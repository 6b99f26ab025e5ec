import {
  BASE_MASK,
  BLK_OPEN,
  BLK_READ,
  BLK_WRITE,
  CREATE,
  DBG_SHELL,
  DELETE,
  LNK_ERROR,
  LNK_PING,
  REPLY,
} from '@spanmesh/dmsg/command';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { afterEach, describe, expect, it } from 'vitest';
import { castParts } from './cast.ts';
import { SimPeer, type SimPeerEvents } from './peer.ts';
import { type LoadCounts, Requester } from './requester.ts';
import { FakeRouter, type FakeRouterOptions } from './router.fixture.ts';
import type { SpanService } from './span-service.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Setup extends FakeRouterOptions {
  readonly service?: SpanService;
  readonly requester?: Requester;
  readonly events?: Partial<SimPeerEvents>;
}

/** A router, a peer with two spans that is connected to it, and the router's side of that connection. */
async function setUp({ service, requester, events = {}, ...options }: Setup) {
  const router = new FakeRouter(options);
  await router.start();
  const [part] = castParts({ peers: 1, dialect: options.dialect, spans: 2, clusters: 1, seed: 7 });
  const deps = { random: () => 0, events, ...(service && { service }), ...(requester && { requester }) };
  const peer = new SimPeer({ ...part!, connect: router.connect }, deps);
  // Stops what the test has not stopped, the router last, so that the peer can close in order.
  cleanups.push(() => router.stop());
  cleanups.push(() => peer.stop());
  peer.start();
  return { router, peer, part: part!, side: await router.side() };
}

const DIALECTS: Dialect[] = ['circuit', 'linkid'];

describe.each(DIALECTS)('SimPeer, %s', (dialect) => {
  it('opens LNK_CONN, accepts ours, then offers its spans', async () => {
    const { side, part, peer } = await setUp({ dialect });
    await side.nth('LNK_SPAN', 2);
    expect(side.events.find((event) => event.what === 'LNK_CONN')).toEqual({ what: 'LNK_CONN', conn: part.lnkConn });
    expect(
      side.events.flatMap((event) => (event.what === 'LNK_SPAN' ? [event.span] : [])).map((span) => span.nodeId),
    ).toEqual(part.spans.map((span) => span.nodeId));
    const { cmd } = await side.nth('answer');
    expect(cmd & (CREATE | DELETE | BASE_MASK)).toBe(CREATE | LNK_ERROR);
    expect([peer.isUp, peer.spansOffered, peer.spansOpened]).toEqual([true, 2, 2]);
  });

  it('offers only what the peer_mask accepts', async () => {
    const { side, peer } = await setUp({ dialect, peerMaskLo: 0xffffffff & ~(1 << 3) });
    // Whatever was sent before the answer to this PING would have come by then.
    side.endpoint.open(LNK_PING, null, side.answers);
    side.flush();
    await side.nth('answer', 2);
    expect(side.events.some((event) => event.what === 'LNK_SPAN')).toBe(false);
    expect(peer.isUp).toBe(true);
  });

  it('acknowledges relays as its dialect does, and closes them when the router does', async () => {
    const { side, part, peer } = await setUp({ dialect });
    await side.nth('answer');
    const tx = side.relay(part.spans[0]!);
    if (dialect === 'circuit') {
      const { cmd } = await side.nth('answer', 2);
      expect(cmd & (CREATE | DELETE | REPLY | BASE_MASK)).toBe(CREATE | REPLY | LNK_ERROR | 0);
      expect(peer.relays).toBe(1);
    }
    side.endpoint.end(tx);
    side.flush();
    const last = await side.nth('answer', dialect === 'circuit' ? 3 : 2);
    expect(last.cmd & (DELETE | BASE_MASK)).toBe(DELETE | LNK_ERROR);
    expect([peer.relays, peer.relaysSeen]).toEqual([0, 1]);
  });

  it('answers PING, as a transaction and one-way', async () => {
    const { side } = await setUp({ dialect });
    await side.nth('answer');
    side.endpoint.open(LNK_PING, null, side.answers);
    side.endpoint.oneWay(LNK_PING);
    side.flush();
    const inside = await side.nth('answer', 2);
    expect(inside.cmd & (CREATE | DELETE)).toBe(CREATE | DELETE | 0);
    const answer = await side.nth('one-way');
    // protocol.md, "Message": the linkid reference does not support it.
    const expected = dialect === 'circuit' ? [LNK_PING, 0] : [LNK_ERROR, ErrorCode.NOSUPP];
    expect([inside.cmd & BASE_MASK, inside.error]).toEqual(expected);
    expect([answer.cmd & BASE_MASK, answer.error]).toEqual(expected);
    expect(answer.cmd & REPLY).toBe(REPLY);
  });

  it('refuses unknown transactions, and never answers answers', async () => {
    const { side } = await setUp({ dialect });
    await side.nth('answer');
    side.endpoint.oneWay(LNK_ERROR, ErrorCode.NOSUPP);
    side.endpoint.oneWay(LNK_PING | REPLY);
    side.endpoint.oneWay(DBG_SHELL);
    side.endpoint.open(BLK_OPEN, null, side.answers);
    side.flush();
    expect(await side.nth('answer', 2)).toMatchObject({ error: ErrorCode.NOSUPP });
    expect(side.events.filter((event) => event.what === 'one-way')).toMatchObject([{ error: ErrorCode.NOSUPP }]);
  });

  it('withdraws a span, and offers it again', async () => {
    const { side, part, peer } = await setUp({ dialect });
    await side.nth('LNK_SPAN', 2);
    peer.withdraw(1);
    expect(peer.spansOffered).toBe(1);
    await side.nth('end');
    peer.offer(1);
    peer.offer(1);
    expect((await side.nth('LNK_SPAN', 3)).span.nodeId).toBe(part.spans[1]!.nodeId);
    expect(peer.spansOffered).toBe(2);
  });

  it('closes in order: spans, LNK_CONN, FIN', async () => {
    const { side, peer } = await setUp({ dialect });
    await side.nth('LNK_SPAN', 2);
    await peer.stop();
    await side.nth('FIN');
    const ends = side.events.filter((event) => event.what === 'end' || event.what === 'FIN');
    expect(ends).toEqual([
      { what: 'end', of: 'LNK_SPAN' },
      { what: 'end', of: 'LNK_SPAN' },
      { what: 'end', of: 'LNK_CONN' },
      { what: 'FIN' },
    ]);
  });

  it('reconnects when the connection is lost, and offers its spans anew', async () => {
    const reasons: string[] = [];
    const { router, side, peer } = await setUp({
      dialect,
      events: { onDown: (_peer, reason) => reasons.push(reason) },
    });
    await side.nth('LNK_SPAN', 2);
    await router.stop();
    await router.start();
    const again = await router.side(2);
    await again.nth('LNK_SPAN', 2);
    expect(peer.spansOpened).toBe(4);
    expect(reasons[0]).toMatch(/closed|reset|lost/i);
  });

  it('drops the connection when the router sends garbage', async () => {
    const reasons: string[] = [];
    const { router, side } = await setUp({ dialect, events: { onDown: (_peer, reason) => reasons.push(reason) } });
    await side.nth('LNK_SPAN', 2);
    side.socket.write(Buffer.alloc(64, 0xee));
    await router.side(2);
    expect(reasons).toEqual(['SYNC: bad magic']);
  });
});

describe('the service on a span', () => {
  it('is reached over the span (circuit)', async () => {
    const opened: string[] = [];
    const service: SpanService = {
      onOpen: (tx, _frame, span) => {
        opened.push(span.nodeId);
        tx.endpoint.end(tx, ErrorCode.IO);
        return true;
      },
    };
    const { side, part } = await setUp({ dialect: 'circuit', service });
    const { tx } = await side.nth('LNK_SPAN', 2);
    const open = side.endpoint.open(BLK_OPEN, tx, side.answers);
    side.endpoint.open(BLK_READ, side.endpoint.open(BLK_OPEN, open, side.answers), side.answers);
    side.endpoint.oneWay(LNK_PING, 0, null, null, tx);
    side.flush();
    expect((await side.nth('answer', 2)).error).toBe(ErrorCode.IO);
    expect(await side.nth('one-way')).toMatchObject({ onSpan: true, error: 0 });
    // A transaction at any depth reaches it.
    const { nodeId } = part.spans[1]!;
    expect(opened).toEqual([nodeId, nodeId, nodeId]);
  });

  it('is reached by its link id (linkid)', async () => {
    const opened: string[] = [];
    const service: SpanService = {
      onOpen: (tx, _frame, span) => {
        opened.push(span.nodeId);
        tx.endpoint.end(tx);
        return true;
      },
    };
    const { side, part } = await setUp({ dialect: 'linkid', service });
    const { tx } = await side.nth('LNK_SPAN', 1);
    const address = { sourceLo: 5, sourceHi: 6, targetLo: tx.msgidLo, targetHi: tx.msgidHi };
    side.endpoint.open(DBG_SHELL, null, side.answers, null, 0, null, address);
    side.flush();
    expect((await side.nth('answer', 2)).cmd & DELETE).toBe(DELETE);
    expect(opened).toEqual([part.spans[0]!.nodeId]);
  });
});

describe('the requests of a peer', () => {
  function requesterOf(counts: LoadCounts): Requester {
    return new Requester({ number: 0 }, { random: () => 0, now: () => 0, counts, isTarget: () => true });
  }

  it.each(DIALECTS)('go over the relay, and are lost with it (%s)', async (dialect) => {
    const counts = { ok: 0, lost: 0, errors: 0 };
    const requester = requesterOf(counts);
    const { side, part } = await setUp({ dialect, requester });
    const { tx: own } = await side.nth('LNK_SPAN', 1);
    const relay = side.relay(part.spans[0]!);
    // Whatever was sent before the answer to this PING has come by then.
    side.endpoint.open(LNK_PING, null, side.answers);
    side.flush();
    await side.nth('answer', dialect === 'circuit' ? 3 : 2);
    expect(requester.run()).toBe(true);
    const { tx, cmd } = await side.nth('request');
    expect(cmd & (CREATE | DELETE | BASE_MASK)).toBe((CREATE | DELETE | BLK_WRITE) & -1);
    // protocol.md, "Routing, linkid": target names the relay, source is the sender's own span; answers swap them.
    if (dialect === 'circuit') expect(tx.circuit).toBe(relay);
    else expect([tx.fromLo, tx.toLo]).toEqual([relay.msgidLo, own.msgidLo]);
    side.endpoint.end(relay);
    side.flush();
    await side.nth('answer', dialect === 'circuit' ? 4 : 3);
    expect(counts).toEqual({ ok: 0, lost: 1, errors: 0 });
    expect(requester.run()).toBe(false);
  });

  it('have no source in linkid without a span', async () => {
    const requester = requesterOf({ ok: 0, lost: 0, errors: 0 });
    const { side, part, peer } = await setUp({ dialect: 'linkid', requester });
    await side.nth('LNK_SPAN', 2);
    side.relay(part.spans[0]!);
    peer.withdraw(0);
    peer.withdraw(1);
    side.endpoint.open(LNK_PING, null, side.answers);
    side.flush();
    await side.nth('answer', 2);
    expect(requester.run()).toBe(false);
  });
});

it('a peer stops while it tries to connect', async () => {
  const [part] = castParts({ peers: 1, dialect: 'circuit', spans: 1, clusters: 1, seed: 7 });
  const down = Promise.withResolvers<string>();
  const peer = new SimPeer(
    // A reserved port, on which nothing listens.
    { ...part!, connect: { host: '127.0.0.1', port: 1 } },
    { random: () => 0, events: { onDown: (_peer, reason) => down.resolve(reason) } },
  );
  peer.start();
  expect(await down.promise).toContain('ECONNREFUSED');
  await peer.stop();
  expect(peer.isUp).toBe(false);
});
