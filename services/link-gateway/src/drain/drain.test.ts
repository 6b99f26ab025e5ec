import type { Dialect } from '@spanmesh/dmsg/dialect';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_DRAINS } from '../limits.ts';
import { openConn, SPAN, TestGateway } from '../testing/gateway.fixture.ts';
import type { Got, RawPeer } from '../testing/raw-peer.fixture.ts';
import { word } from '../testing/raw-peer.fixture.ts';

const all: TestGateway[] = [];

afterEach(async () => {
  for (const made of all.splice(0)) await made.stop();
});

async function start(env: Record<string, string> = {}): Promise<TestGateway> {
  const made = await TestGateway.start({ env });
  all.push(made);
  return made;
}

/** What a drain has logged when it was done. */
const outcome = (made: TestGateway) => made.log.find(({ msg }) => msg === 'drain is done');

/** The peer's answer to our DELETE in a transaction in which it has sent nothing before. */
const answerTo = (dialect: Dialect, { msgid }: Got) => ({
  cmd: dialect === 'linkid' ? 0xe00fff01 : 0xe80fff01,
  msgid,
});

/** The gateway's LNK_CONN, as the peer has got it. */
const ownConn = (peer: RawPeer): Got => peer.got[0]!;

/** Reads up to the end of the gateway's LNK_CONN, and answers it. */
async function leave(peer: RawPeer, dialect: Dialect): Promise<void> {
  for (;;) {
    const got = await peer.next();
    if (got.cmd !== 0x400fff01 || got.msgid.lo !== ownConn(peer).msgid.lo) continue;
    peer.say(answerTo(dialect, got));
    await peer.end();
    peer.socket.end();
    return;
  }
}

describe.each(['linkid', 'circuit'] as const)('a drain of %s connections', (dialect) => {
  // Causes: line drain begins: connections are closed in order, busy ones last
  // Causes: line drain is done
  it('sends FIN as soon as the peer has answered, and counts connections closed in order and cut off', async () => {
    const made = await start();
    const { peer } = await made.established(dialect);
    await made.established(dialect);
    const stopped = made.gateway.stop();
    await leave(peer, dialect);
    await until(() => made.gateway.counts().connections === 1);
    made.clock.advance(5_000);
    await stopped;
    const begins = made.log.filter(
      ({ msg }) => msg === 'drain begins: connections are closed in order, busy ones last',
    );
    expect(begins).toMatchObject([{ level: 'info', connections: 2 }]);
    expect(outcome(made)).toMatchObject({ closed: 1, cut: 1 });
    expect(made.gateway.counts()).toMatchObject({ connections: 0, transactions: 0 });
  });

  it('refuses transactions that a peer opens meanwhile', async () => {
    const made = await start();
    const { peer } = await made.established(dialect);
    void made.gateway.stop();
    await peer.words(2);
    peer.say({ cmd: openConn(dialect), msgid: SPAN, payload: new Uint8Array(dialect === 'linkid' ? 448 : 320) });
    const refusal = dialect === 'linkid' ? 'e00fff01' : 'e80fff01';
    expect(word(await peer.next())).toMatch(new RegExp(`^(${refusal}|600fff01|680fff01)`));
    expect(made.attach.delta.lnkConnsOpened).toHaveLength(1);
  });

  it('closes a share by order, once, and goes on accepting', async () => {
    const made = await start();
    const peers: RawPeer[] = [];
    for (let i = 0; i < 4; i++) peers.push((await made.established(dialect)).peer);
    const order = { order: 'o-1', sharePermille: 500, deadlineMs: 0 };
    made.attach.command({ drains: [order] });
    made.attach.command({ drains: [order] });
    expect(made.attach.delta.drains).toEqual([{ order: 'o-1', chosen: 2, closed: 0, cut: 0, done: false }]);
    const closing = made.attach.delta.connectionsClosing.map(({ id }) => id);
    expect(closing).toHaveLength(2);
    const going = peers.filter((_, i) => closing.includes(made.attach.delta.connectionsOpened[i]!.id));
    await Promise.all(going.map((peer) => leave(peer, dialect)));
    const { drains } = await made.attach.until((delta) => delta.drains[0]!.done);
    expect(drains).toEqual([{ order: 'o-1', chosen: 2, closed: 2, cut: 0, done: true }]);
    await made.established(dialect);
    expect(made.gateway.counts().connections).toBe(3);
    // The drain is still known, for a leader that has not heard of it.
    expect(made.attach.attach().flatMap((part) => part.drains)).toEqual(drains);
    expect(made.gateway.notReady()).toBeNull();
  });

  it('closes one connection by order, and says which one and why', async () => {
    const made = await start();
    const { peer } = await made.established(dialect);
    const { id } = made.attach.delta.connectionsOpened[0]!;
    made.attach.command({ close: [{ connection: id, reason: 'operator: moved', inOrder: true }] });
    expect(made.attach.delta.connectionsClosing).toEqual([{ id, reason: 'operator: moved' }]);
    expect(made.attach.attach().flatMap((part) => part.connectionsOpened)).toMatchObject([
      { id, closing: 'operator: moved' },
    ]);
    await leave(peer, dialect);
    await made.attach.until((delta) => delta.connectionsClosed.length === 1);
    expect(made.log.find(({ msg }) => msg === 'connection is closed by order')).toMatchObject({
      connection: id,
      why: 'operator: moved',
    });
    expect(made.gateway.counters.closed.command).toBe(1);
  });
});

/** Two peers with a transaction in progress from `peer` to `owner`, which gets it as `routed`. */
async function withTransaction(made: TestGateway): Promise<{ owner: RawPeer; peer: RawPeer; routed: Got }> {
  const { peer: owner } = await made.established('circuit');
  const { peer, lnkConn } = await made.established('circuit');
  const link = await made.span(owner, 'circuit');
  made.attach.command({ relays: [{ gateway: '', link, open: [lnkConn], close: [] }] });
  const relay = await peer.next();
  // CREATE and DELETE in one message, on the relay (REVCIRC): the peer has no more to say in the transaction.
  peer.say({ cmd: 0xc4000f01, msgid: { lo: 0x80, hi: 0 }, circuit: relay.msgid });
  const routed = await owner.next();
  expect([word(routed), routed.circuit]).toEqual(['c4000f01', SPAN]);
  return { owner, peer, routed };
}

describe('a drain', () => {
  it.each([true, false])(
    'lets a transaction in progress end, for as long as the grace is (it ends: %s)',
    async (ends) => {
      const made = await start({ SPANMESH_STOP_TIMEOUT: '10s' });
      const { owner, peer, routed } = await withTransaction(made);
      const { peer: other } = await made.established('circuit');
      const stopped = made.gateway.stop();
      await leave(other, 'circuit');
      made.clock.advance(7_000);
      expect(made.attach.delta.connectionsClosing).toHaveLength(1);
      if (ends) {
        owner.say({ cmd: 0xe8000f01, msgid: routed.msgid, circuit: SPAN });
        expect((await peer.next()).cmd >>> 28).toBe(0xe);
        made.clock.advance(100);
      } else {
        made.clock.advance(1_000);
        // LOSTLINK, with ABORT.
        expect(word(await peer.next())).toMatch(/^f\w+ \d+$/);
      }
      expect(made.attach.delta.connectionsClosing).toHaveLength(3);
      await Promise.all([leave(peer, 'circuit'), leave(owner, 'circuit')]);
      await stopped;
      expect(outcome(made)).toMatchObject({ closed: 3, cut: 0 });
    },
  );

  it('hurries when it is told to', async () => {
    const made = await start({ SPANMESH_STOP_TIMEOUT: '1h' });
    const { peer } = await made.established('circuit');
    const stopped = made.gateway.stop();
    made.gateway.hurry();
    made.clock.advance(1_000);
    await stopped;
    await peer.end();
    expect(outcome(made)).toMatchObject({ closed: 0, cut: 1 });
  });

  it('that hurries closes connections with transactions in progress in order, too', async () => {
    const made = await start({ SPANMESH_STOP_TIMEOUT: '1h' });
    const { owner, peer } = await withTransaction(made);
    const stopped = made.gateway.stop();
    expect(made.attach.delta.connectionsClosing).toEqual([]);
    made.gateway.hurry();
    expect(made.attach.delta.connectionsClosing).toHaveLength(2);
    await Promise.all([leave(peer, 'circuit'), leave(owner, 'circuit')]);
    await stopped;
    expect(outcome(made)).toMatchObject({ closed: 2, cut: 0 });
  });

  // Limits: link-gateway/src/limits.ts DRAIN_CLOSES_PER_SECOND
  it('spreads many closes over time', async () => {
    const made = await start();
    const count = 60;
    for (let i = 0; i < count; i++) await made.established('circuit');
    const stopped = made.gateway.stop();
    const begun = [];
    for (let ms = 0; ms < 200; ms += 20) {
      begun.push(made.attach.delta.connectionsClosing.length);
      made.clock.advance(20);
    }
    // 10 connections in 20 ms are 500 a second.
    expect(begun.slice(0, 6)).toEqual([10, 20, 30, 40, 50, 60]);
    made.clock.advance(5_000);
    await stopped;
  });

  // Limits: link-gateway/src/limits.ts MAX_DRAINS
  it('by order is one of MAX_DRAINS at most: one that is done makes room for the next', async () => {
    const made = await start({ SPANMESH_STOP_TIMEOUT: '1h' });
    /** Drains the one connection that is not being closed yet. */
    const order = async (n: number) => {
      await made.established('circuit');
      made.attach.command({ drains: [{ order: `o-${n}`, sharePermille: 1000, deadlineMs: 2000 }] });
    };
    const known = () => made.attach.attach().flatMap((part) => part.drains.map((drain) => drain.order));
    for (let n = 0; n < MAX_DRAINS; n++) await order(n);
    expect(known()).toHaveLength(MAX_DRAINS);
    await order(MAX_DRAINS);
    expect([known().length, made.gateway.counters.commandsStale]).toEqual([MAX_DRAINS, 1]);
    made.clock.advance(2000);
    await made.attach.until((delta) => delta.drains.filter(({ done }) => done).length === MAX_DRAINS);
    await order(MAX_DRAINS + 1);
    expect(known()).toEqual([...Array.from({ length: MAX_DRAINS - 1 }, (_, n) => `o-${n + 1}`), `o-${MAX_DRAINS + 1}`]);
  });

  // Limits: drain/drains.ts MAX_WHY_CHARS
  it.each([256, 257])('of one connection is said to be for a reason of 256 characters at most (%i)', async (chars) => {
    const made = await start();
    await made.established('circuit');
    const { id } = made.attach.delta.connectionsOpened[0]!;
    made.attach.command({ close: [{ connection: id, reason: 'x'.repeat(chars), inOrder: true }] });
    expect(made.attach.delta.connectionsClosing).toEqual([{ id, reason: 'x'.repeat(256) }]);
  });

  it('of a gateway that stops: it is not ready, and takes no new connections', async () => {
    const made = await start();
    void made.gateway.stop();
    expect(made.gateway.notReady()).toBe('stopping');
    await expect(made.peer('circuit')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('by order cuts off at its own deadline the peers that have not answered', async () => {
    const made = await start({ SPANMESH_STOP_TIMEOUT: '1h' });
    await made.established('circuit');
    made.attach.command({ drains: [{ order: 'o', sharePermille: 1000, deadlineMs: 2000 }] });
    made.clock.advance(1_900);
    expect(made.attach.delta.drains).toMatchObject([{ chosen: 1, done: false }]);
    made.clock.advance(100);
    const { drains } = await made.attach.until((delta) => delta.drains.some(({ done }) => done));
    expect(drains).toMatchObject([{ closed: 0, cut: 1 }]);
  });

  it('moves no dialled connections', async () => {
    const made = await start();
    const host = await start();
    await made.gateway.dial({ host: '127.0.0.1', port: host.port('circuit') }, 'circuit', { kind: 'shell' });
    await made.established('circuit');
    made.attach.command({ drains: [{ order: 'o', sharePermille: 1000, deadlineMs: 0 }] });
    expect(made.attach.delta.drains).toMatchObject([{ chosen: 1 }]);
  });
});
