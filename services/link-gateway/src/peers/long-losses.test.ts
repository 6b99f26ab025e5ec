import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, describe, expect, it } from 'vitest';
import { ENDED_PER_TURN } from '../shares/limits.ts';
import { CONN, lnkConnPayload, openConn, spanPayload, TestGateway } from '../testing/gateway.fixture.ts';
import type { Got } from '../testing/raw-peer.fixture.ts';

const OPEN_SPAN = 0x80001207;
const CLOSE_SPAN = 0x40001207;
const CLOSE_CONN = 0x40001108;
const ANSWERED_SPAN = 0xe00fff01;
const ANSWERED_CONN = 0x600fff01;
const CLOSED_RELAY = 0x400fff01;
/** One peer asks for spans with 60 LNK_CONNs, another offers 150 links: every LNK_CONN gets a relay of every link. */
const LNK_CONNS = 60;
const LINKS = 150;
const RELAYS = LNK_CONNS * LINKS;
/**
 * The most units that one turn may end: ENDED_PER_TURN at once and as many that had waited, each one slice (64) longer.
 */
const MOST_IN_TURN = Math.min(2 * (ENDED_PER_TURN + 64), RELAYS / 2);
const GREEDY = '127.0.0.66';

let gateway: TestGateway | undefined;

afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
});

/**
 * Connects a peer with many LNK_CONNs and one that offers many links (linkid), and has topology relay all of these
 * links on all of these LNK_CONNs.
 */
async function related(env: Record<string, string> = {}) {
  const made = await TestGateway.start({ env });
  gateway = made;
  const { attach } = made;
  const asking = (await made.established('linkid')).peer;
  const honest = await made.established('linkid', '127.0.0.67');
  const honestLink = await made.span(honest.peer, 'linkid');
  const conns = Array.from({ length: LNK_CONNS - 1 }, (_, i) => i + 1);
  asking.say(
    ...conns.map((lo) => ({ cmd: openConn('linkid'), msgid: { lo, hi: 2 }, payload: lnkConnPayload('linkid') })),
  );
  const { peer: offering } = await made.established('linkid', GREEDY);
  const spans = Array.from({ length: LINKS }, (_, i) => i + 1);
  offering.say(...spans.map((lo) => ({ cmd: OPEN_SPAN, msgid: { lo, hi: 1 }, payload: spanPayload('linkid') })));
  const { lnkConnsOpened, linksOpened } = await attach.until(
    (delta) => delta.linksOpened.length === LINKS + 1 && delta.lnkConnsOpened.length === LNK_CONNS + 2,
  );
  const first = lnkConnsOpened[0]?.connection;
  const lnkConns = lnkConnsOpened.filter(({ connection }) => connection === first).map(({ id }) => id);
  const links = linksOpened.map(({ id }) => id).filter((id) => id !== honestLink);
  attach.command({ relays: links.map((link) => ({ gateway: '', link, open: lnkConns, close: [] })) });
  return { made, asking, offering, links, lnkConns, honestLink };
}

/** Like `related`, and waits until all relays are open. */
async function relayed() {
  const all = await related();
  await until(() => all.asking.got.filter(({ cmd }) => cmd === OPEN_SPAN).length === RELAYS);
  expect(all.made.gateway.counters.relays).toBe(RELAYS);
  return all;
}

/**
 * The most relays that close in one turn of the event loop, until none is left. `between` is called after each turn
 * while some relays are closed and others are still open.
 */
async function mostClosed(made: TestGateway, between: () => void = () => {}): Promise<number> {
  const { counters } = made.gateway;
  let most = 0;
  for (let before = RELAYS; before > 0; before = counters.relays) {
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, before - counters.relays);
    if (counters.relays > 0 && counters.relays < RELAYS) between();
  }
  return most;
}

describe('the loss of a connection with very many links', () => {
  // Limits: shares/limits.ts ENDED_PER_TURN
  it('closes a bounded number of relays a turn, and in between snapshots and commands no longer find the connection or its links', async () => {
    const { made, offering, links, lnkConns } = await relayed();
    const { attach } = made;
    const { counters } = made.gateway;
    offering.destroy();
    let looked = 0;
    const most = await mostClosed(made, () => {
      looked++;
      const parts = attach.attach();
      expect(parts.flatMap(({ linksOpened }) => linksOpened)).toHaveLength(1);
      expect(parts.flatMap(({ relaysOpen }) => relaysOpen)).toEqual([]);
      expect(parts.flatMap(({ connectionsOpened }) => connectionsOpened)).toHaveLength(2);
      const { commandsStale, relaysOpened } = counters;
      for (const link of links) attach.command({ relays: [{ gateway: '', link, open: lnkConns, close: [] }] });
      expect(counters).toMatchObject({ commandsStale: commandsStale + LINKS, relaysOpened });
    });
    expect(looked).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(MOST_IN_TURN);
    await until(() => made.gateway.counts().links === 1);
    expect(made.gateway.tables()).toMatchObject({ 'shares, held: relays asked for': 0, endings: 0 });
  });

  it('closes no connection of the peer that asked for the relays, though they count for it until they are closed', async () => {
    const env = { SPANMESH_MAX_RELAYS: '10000', SPANMESH_SHARE: '60' };
    const { made, asking, lnkConns, honestLink } = await related(env);
    // All relays together are beyond the share, both counted for the peer that asks and for the one that offers, until
    // the relays of the greedy one's links are closed.
    await until(() => made.gateway.counters.closed.share > 0);
    expect(made.gateway.counters.relays).toBeGreaterThan(6_000);
    made.attach.command({ relays: [{ gateway: '', link: honestLink, open: lnkConns, close: [] }] });
    await until(() => made.attach.work.size === 0 && made.gateway.counters.relays === LNK_CONNS);
    expect(made.gateway.counters.closed.share).toBe(1);
    expect(asking.closed).toBe(false);
    const limited = made.log.filter(({ msg }) => msg === 'a principal has more than its share');
    expect(limited.map(({ principal }) => principal)).toEqual([GREEDY]);
  });
});

describe('very many relays', () => {
  it('close a bounded number a turn when their links close, and a link is answered after its relays', async () => {
    const { made, asking, offering } = await relayed();
    const links = Array.from({ length: LINKS }, (_, i) => i + 1);
    offering.say(...links.map((lo) => ({ cmd: CLOSE_SPAN, msgid: { lo, hi: 1 } })));
    let answered = 0;
    const most = await mostClosed(made, () => {
      answered = offering.got.filter(({ cmd }) => cmd === ANSWERED_SPAN).length;
      expect(answered * LNK_CONNS).toBeLessThanOrEqual(RELAYS - made.gateway.counters.relays);
    });
    expect(most).toBeLessThanOrEqual(MOST_IN_TURN);
    await until(() => asking.got.filter(({ cmd }) => cmd === CLOSED_RELAY).length === RELAYS);
    await until(() => offering.got.filter(({ cmd }) => cmd === ANSWERED_SPAN).length === LINKS);
  });

  it('close a bounded number a turn when their LNK_CONNs close, and a LNK_CONN is answered after its relays', async () => {
    const { made, asking } = await relayed();
    const conns = [CONN, ...Array.from({ length: LNK_CONNS - 1 }, (_, i) => ({ lo: i + 1, hi: 2 }))];
    asking.say(...conns.map((msgid) => ({ cmd: CLOSE_CONN, msgid })));
    expect(await mostClosed(made)).toBeLessThanOrEqual(MOST_IN_TURN);
    const answers = () => asking.got.filter(({ cmd }) => cmd === ANSWERED_CONN).length;
    await until(() => answers() === LNK_CONNS);
    let [closed, answered] = [0, 0];
    for (const { cmd } of asking.got) {
      if (cmd === CLOSED_RELAY) closed++;
      if (cmd === ANSWERED_CONN) expect(closed).toBeGreaterThanOrEqual(++answered * LINKS);
    }
    expect(closed).toBe(RELAYS);
  });

  it('close a bounded number a turn when their connection is closed in order, and our own LNK_CONN closes last', async () => {
    const { made, asking, lnkConns } = await relayed();
    expect(lnkConns).toHaveLength(LNK_CONNS);
    const id = made.attach.delta.lnkConnsOpened[0]?.connection ?? 0;
    const own = asking.got[0]?.msgid;
    made.attach.command({ close: [{ connection: id, reason: 'a test', inOrder: true }] });
    expect(await mostClosed(made)).toBeLessThanOrEqual(MOST_IN_TURN);
    const isOwn = ({ msgid, cmd }: Got) => cmd === CLOSED_RELAY && msgid.lo === own?.lo && msgid.hi === own.hi;
    await until(() => asking.got.some(isOwn));
    expect(asking.got.findLastIndex(isOwn)).toBe(asking.got.length - 1);
    expect(asking.got.filter(({ cmd }) => cmd === CLOSED_RELAY)).toHaveLength(RELAYS + 1);
  });
});
