import { CIRCUIT } from '@spanmesh/dmsg/dialect';
import { encodeMessage } from '@spanmesh/dmsg/message';
import { READ_MEMORY } from '@spanmesh/dmsg-socket/socket/read-memory';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, describe, expect, it } from 'vitest';
import { spanPayload, TestGateway } from '../testing/gateway.fixture.ts';
import { type RawPeer, word } from '../testing/raw-peer.fixture.ts';
import { turns } from '../trunk/trunk.fixture.ts';
import { HANDLED_PER_TURN } from './limits.ts';

const NOSUPP = 0x20;
const OPEN_SPAN = 0x80001207;
const CLOSE_SPAN = 0x40001207;
/** Smallest size of a LNK_SPAN in bytes. */
const SPAN_BYTES = 448;
const GREEDY = '127.0.0.66';
const ANOTHER = '127.0.0.67';

let gateway: TestGateway | undefined;

async function start(env: Record<string, string>): Promise<TestGateway> {
  gateway = await TestGateway.start({ env });
  return gateway;
}

afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
});

/** Opens `spans` spans. Returns how many of them were accepted. */
async function open(peer: RawPeer, spans: number, from = 1): Promise<number> {
  let taken = 0;
  for (let i = from; i < from + spans; i++) {
    peer.say({ cmd: OPEN_SPAN, msgid: { lo: i, hi: 1 }, payload: spanPayload('circuit') });
    if (word(await peer.next()) !== `e80fff01 ${NOSUPP}`) taken++;
  }
  return taken;
}

function limits(of: TestGateway): unknown[] {
  return of.log.filter(({ msg }) => msg === 'a principal has more than its share');
}

describe('links', () => {
  // Limits: shares/limits.ts DEFAULT_MAX_LINKS
  it('are refused to a principal beyond its share, counted over all its connections, and to no other principal', async () => {
    const made = await start({ SPANMESH_MAX_LINKS: '10' });
    const [one, two] = [await made.established('circuit', GREEDY), await made.established('circuit', GREEDY)];
    const honest = await made.established('circuit');
    expect((await open(one.peer, 3)) + (await open(two.peer, 4))).toBe(5);
    expect(await open(honest.peer, 5)).toBe(5);
    expect(limits(made)).toMatchObject([{ resource: 'links', bound: 'share', principal: GREEDY, held: 5, limit: 5 }]);
  });

  it('of the principal with most are closed when all are taken and a principal with fewer opens one', async () => {
    const made = await start({ SPANMESH_MAX_LINKS: '10' });
    const few = await made.established('circuit');
    const greedy = await made.established('circuit', GREEDY);
    const another = await made.established('circuit', ANOTHER);
    await open(few.peer, 2);
    await open(another.peer, 3);
    await open(greedy.peer, 5);
    expect(await open(few.peer, 1, 10)).toBe(1);
    await greedy.peer.end();
    expect(made.gateway.counters).toMatchObject({ links: 6, closed: { share: 1 } });
    expect(limits(made)).toMatchObject([{ resource: 'links', bound: 'total', principal: GREEDY, held: 5, limit: 10 }]);
  });

  it('can be opened again once others were closed', async () => {
    const made = await start({ SPANMESH_MAX_LINKS: '4' });
    const { peer } = await made.established('circuit', GREEDY);
    expect(await open(peer, 3)).toBe(2);
    peer.say({ cmd: CLOSE_SPAN, msgid: { lo: 1, hi: 1 } });
    await peer.next();
    expect(await open(peer, 1, 10)).toBe(1);
  });
});

// Limits: link-gateway/src/limits.ts DEFAULT_MAX_CONNECTIONS
it('when all connections are taken a newcomer is let in, and the principal with most of them loses one', async () => {
  const made = await start({ SPANMESH_MAX_CONNECTIONS: '4' });
  const honest = await made.established('circuit');
  const greedy = [];
  for (let i = 0; i < 3; i++) greedy.push((await made.established('circuit', GREEDY)).peer);
  await expect(made.established('circuit', ANOTHER)).resolves.toBeDefined();
  // The connection that goes is the last one of the greedy principal.
  await greedy[2]?.end();
  expect(await open(honest.peer, 1)).toBe(1);
  // No principal holds more than the greedy one would hold with this connection: it is refused.
  const refused = await made.peer('circuit', 'circuit', GREEDY);
  await refused.end();
  expect(made.gateway.counters).toMatchObject({ closed: { share: 1 }, refused: { 'too-many': 1 } });
  expect(limits(made)).toMatchObject([{ resource: 'connections', bound: 'total', principal: GREEDY, held: 3 }]);
});

// Limits: shares/limits.ts DEFAULT_MAX_LNK_CONNS
it('LNK_CONNs are refused beyond the share', async () => {
  const made = await start({ SPANMESH_MAX_LNK_CONNS: '2' });
  await made.established('circuit', GREEDY);
  const second = await made.peer('circuit', 'circuit', GREEDY);
  await second.next();
  await expect(made.established('circuit')).resolves.toBeDefined();
  expect(made.gateway.counters.lnkConns).toBe(2);
});

// Limits: shares/limits.ts DEFAULT_MAX_RELAYS
it('a principal whose links have too many relays loses its connection, and the peers that ask for all links lose nothing', async () => {
  const made = await start({ SPANMESH_MAX_RELAYS: '12', SPANMESH_SHARE: '60' });
  const asking = [await made.established('circuit'), await made.established('circuit', '127.0.0.2')];
  const greedy = await made.established('circuit', GREEDY);
  await open(greedy.peer, 4);
  const honest = await made.established('circuit', ANOTHER);
  await open(honest.peer, 1);
  const { linksOpened } = await made.attach.until((delta) => delta.linksOpened.length === 5);
  const relays = linksOpened.map(({ id }) => ({
    gateway: '',
    link: id,
    open: asking.map((a) => a.lnkConn),
    close: [],
  }));
  made.attach.command({ relays });
  await greedy.peer.end();
  expect(made.gateway.counters).toMatchObject({ relays: 2, closed: { share: 1 } });
  expect(limits(made)).toMatchObject([{ resource: 'relays offered', bound: 'share', principal: GREEDY, held: 8 }]);
});

// Limits: shares/limits.ts DEFAULT_MAX_OPEN_TRANSACTIONS
it('a principal with too many open transactions loses its connection with most of them', async () => {
  const made = await start({ SPANMESH_MAX_OPEN_TRANSACTIONS: '12' });
  const small = await made.established('circuit', GREEDY);
  const { peer } = await made.established('circuit', GREEDY);
  const honest = await made.established('circuit');
  await open(small.peer, 1);
  for (let i = 1; i <= 8; i++) peer.say({ cmd: OPEN_SPAN, msgid: { lo: i, hi: 1 }, payload: spanPayload('circuit') });
  await peer.end();
  expect(await open(small.peer, 1, 10)).toBe(1);
  expect(await open(honest.peer, 3)).toBe(3);
  expect(made.gateway.counters.closed.share).toBe(1);
});

// Limits: shares/limits.ts DEFAULT_RECEIVE_LIMIT_BYTES
it('when half-received messages take too much memory the principal with most of it loses a connection, and a newcomer none', async () => {
  const made = await start({ SPANMESH_RECEIVE_LIMIT: '100000', SPANMESH_SHARE: '90' });
  const whole = encodeMessage({ rules: CIRCUIT, cmd: 0x00100101, aux: Buffer.alloc(60_000, 32), salt: 1 });
  const greedy = [];
  // Each of the greedy principal's connections holds less than the newcomer's.
  for (let i = 0; i < 4; i++) {
    const { peer } = await made.established('circuit', GREEDY);
    peer.raw(whole.subarray(0, 20_000));
    greedy.push(peer);
  }
  const { peer } = await made.established('circuit');
  peer.raw(whole.subarray(0, 40_000));
  await until(() => made.gateway.counters.closed['receive-limit'] > 0);
  peer.raw(whole.subarray(40_000));
  expect((await peer.next()).text).toBe('Command too long\n');
  expect(made.gateway.counters.closed['receive-limit']).toBe(1);
  expect(limits(made)).toMatchObject([{ resource: 'received bytes', bound: 'total', principal: GREEDY }]);
});

// Limits: shares/limits.ts DEFAULT_SEND_TOTAL_BYTES
it('bytes that wait for peers to read them are bounded in all: a connection of the principal with most of them is closed', async () => {
  const made = await start({ SPANMESH_SEND_TOTAL: '400000', SPANMESH_SHARE: '75' });
  const owner = await made.established('circuit');
  const link = await made.span(owner.peer, 'circuit');
  const lazy = [];
  for (let i = 0; i < 4; i++) {
    const established = await made.established('circuit', GREEDY);
    established.peer.socket.pause();
    lazy.push(established);
  }
  const toggle = (lnkConns: number[]) => {
    made.attach.command({ relays: [{ gateway: '', link, open: lnkConns, close: [] }] });
    made.attach.command({ relays: [{ gateway: '', link, open: [], close: lnkConns }] });
  };
  let most = 0;
  while (made.gateway.counters.closed.share === 0) {
    toggle(lazy.map(({ lnkConn }) => lnkConn));
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, made.gateway.queuedBytes);
  }
  expect(most).toBeLessThan(400_000);
  expect(limits(made)).toMatchObject([{ resource: 'waiting bytes', bound: 'share', principal: GREEDY }]);
  const newcomer = await made.established('circuit', ANOTHER);
  toggle([newcomer.lnkConn]);
  expect(word(await newcomer.peer.next())).toBe('80001207');
});

/** Spans in a burst: more than a connection may bring before it is not read any more. */
const BURST = 5_000;

function burst(peer: RawPeer): void {
  const spans = [];
  for (let i = 1; i <= BURST; i++) {
    spans.push({ cmd: OPEN_SPAN, msgid: { lo: i, hi: 1 }, payload: spanPayload('circuit') });
  }
  peer.say(...spans);
}

it('a turn of the event loop handles a bounded number of spans, even if all are refused and no other peer sends', async () => {
  const made = await start({ SPANMESH_MAX_LINKS: '2' });
  const { peer } = await made.established('circuit', GREEDY);
  let most = 0;
  let before = 0;
  burst(peer);
  while (before < BURST - 1) {
    await new Promise((resolve) => setImmediate(resolve));
    const { opensRefused } = made.gateway.counters;
    most = Math.max(most, opensRefused - before);
    before = opensRefused;
  }
  // The messages of the last read are all handled, even past the limit.
  expect(most).toBeLessThanOrEqual(HANDLED_PER_TURN + READ_MEMORY.length / SPAN_BYTES);
});

describe('while topology takes nothing in', () => {
  // Limits: shares/limits.ts REPORTS_HIGH_BYTES
  it('a connection with too many changes is not read, and the changes that wait are bounded', async () => {
    const made = await start({});
    const greedy = [await made.established('circuit', GREEDY), await made.established('circuit', GREEDY)];
    const { reports } = made.attach;
    reports.onChange = () => {};
    for (const { peer } of greedy) burst(peer);
    await until(() => reports.pressure.waiting === 2);
    await turns();
    const { links } = made.gateway.counters;
    expect(links).toBeLessThan(BURST);
    expect(reports.bytes).toBeLessThan(1024 * 1024);
    // All its spans come once topology takes changes in.
    reports.onChange = () => reports.take(Number.POSITIVE_INFINITY);
    reports.take(Number.POSITIVE_INFINITY);
    await until(() => made.gateway.counters.links === 2 * BURST);
  });

  it('a peer with few changes waits for one turn of the peers with many, and not for all of their changes', async () => {
    const made = await start({});
    const honest = await made.established('circuit', ANOTHER);
    const greedy = [];
    for (let i = 0; i < 6; i++) greedy.push(await made.established('circuit', GREEDY));
    const { reports } = made.attach;
    reports.onChange = () => {};
    for (const { peer } of greedy) burst(peer);
    await until(() => reports.pressure.waiting === greedy.length);
    const before = made.gateway.counters.links;
    // The first span is taken in with the burst; the second has to wait.
    honest.peer.say({ cmd: OPEN_SPAN, msgid: { lo: 1, hi: 1 }, payload: spanPayload('circuit') });
    await until(() => made.gateway.counters.links === before + 1);
    honest.peer.say({ cmd: OPEN_SPAN, msgid: { lo: 2, hi: 1 }, payload: spanPayload('circuit') });
    await until(() => reports.pressure.waiting === greedy.length + 1);
    let taken = 0;
    let heard: number | null = null;
    const hear = () => {
      for (const { linksOpened } of reports.take(Number.POSITIVE_INFINITY)) {
        taken += linksOpened.length;
        if (linksOpened.some(({ msgidLo, connection }) => msgidLo === 2 && connection === honestId)) heard ??= taken;
      }
    };
    const honestId = made.attach.delta.lnkConnsOpened[0]!.connection;
    reports.onChange = hear;
    hear();
    await until(() => heard !== null);
    expect(heard).toBeLessThan(before + BURST);
  });
});
