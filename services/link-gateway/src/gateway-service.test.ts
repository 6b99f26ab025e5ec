import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { CIRCUIT } from '@spanmesh/dmsg/dialect';
import { encodeMessage } from '@spanmesh/dmsg/message';
import { shellAux } from '@spanmesh/dmsg/payload/dbg-shell';
import { decodeLnkSpanPayload } from '@spanmesh/dmsg/payload/lnk-span';
import { EventKind } from '@spanmesh/proto/v1/events';
import { StateChange } from '@spanmesh/proto/v1/gateway_control';
import { Dialect as ApiDialect, ConnectionOrigin } from '@spanmesh/proto/v1/types';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { until } from '@spanmesh/runtime/patience.fixture';
import { SettingError } from '@spanmesh/runtime/settings/setting';
import { afterEach, describe, expect, it } from 'vitest';
import { RELAY_PACE_BYTES } from './limits.ts';
import { CONN, lnkConnPayload, openConn, SPAN, spanPayload, TestGateway } from './testing/gateway.fixture.ts';
import { RawPeer, word } from './testing/raw-peer.fixture.ts';

/** The principals and resources that limit events name. */
function limitsTold({ told }: TestGateway): string[] {
  return told
    .filter(({ kind }) => kind === EventKind.EVENT_KIND_LIMIT_HIT)
    .map(({ principal, limit }) => `${principal} ${limit?.limit}`);
}

const PING = 0x00000101;
const PING_REPLY = '20000101';
const NOSUPP = 0x20;
const PARAM = 0x23;

let started: TestGateway[] = [];

async function start(options: Parameters<typeof TestGateway.start>[0] = {}): Promise<TestGateway> {
  const made = await TestGateway.start(options);
  started.push(made);
  return made;
}

afterEach(async () => {
  const all = started;
  started = [];
  for (const made of all) await made.stop();
});

/** Waits for the answer to a PING: the gateway has then handled all messages before it (circuit). */
async function barrier(peer: RawPeer): Promise<void> {
  peer.say({ cmd: PING });
  expect(word(await peer.next())).toBe(PING_REPLY);
}

/** Like `barrier`, for linkid: with an empty shell command. */
async function linkidBarrier(peer: RawPeer): Promise<void> {
  peer.say({ cmd: 0x00100101 });
  expect(word(await peer.next())).toBe('200fff01');
}

/** A clock whose wall time is changed, as by an operator or a broken time server. */
class SetClock extends FakeClock {
  ahead = 0;

  override wall(): number {
    return super.wall() + this.ahead;
  }
}

it('gives the time a link was opened by the present clock, even after a jump of the clock, and still orders links by age', async () => {
  const clock = new SetClock();
  const made = await start({ clock });
  const { peer } = await made.established('linkid');
  const day = 86_400_000;
  const wall = clock.wall() * 1000;
  const spans: number[] = [];
  for (const [n, ahead] of [0, day, 0].entries()) {
    clock.ahead = ahead;
    spans.push(await made.span(peer, 'linkid', { ...SPAN, lo: SPAN.lo + 64 * n }));
  }
  const { linksOpened } = made.attach.delta;
  expect(linksOpened.map(({ sinceUs }) => sinceUs)).toEqual([wall, wall + day * 1000, wall]);
  expect(linksOpened.map(({ stamp }) => stamp)).toEqual([wall, wall + day * 1000, wall + day * 1000 + 1]);
  expect(made.attach.attach().flatMap((part) => part.linksOpened)).toEqual(linksOpened);
});

describe.each(['linkid', 'circuit'] as const)('given a connection to a %s listener', (dialect) => {
  it('speaks first, with the LNK_CONN of a controller', async () => {
    const made = await start();
    const peer = await made.peer(dialect);
    const conn = await peer.next();
    expect(conn.cmd).toBe(openConn(dialect));
    expect(conn.payload.subarray(48, 56)).toEqual(Buffer.alloc(8, 0xff));
    expect(conn.payload[56]).toBe(1);
    // All other fields are zero, as the recorded daemons send them.
    const used = dialect === 'linkid' ? 456 - 64 : 328 - 64;
    const rest = Buffer.from(conn.payload.subarray(0, used));
    rest.fill(0, 48, 57);
    expect(rest.every((byte) => byte === 0)).toBe(true);
    const { connectionsOpened } = made.attach.delta;
    expect(connectionsOpened).toMatchObject([
      {
        dialect: dialect === 'linkid' ? ApiDialect.DIALECT_LINKID : ApiDialect.DIALECT_CIRCUIT,
        origin: ConnectionOrigin.CONNECTION_ORIGIN_ACCEPTED,
        remoteAddress: `127.0.0.1:${(peer.socket.address() as AddressInfo).port}`,
      },
    ]);
  });

  it('answers the close of its LNK_CONN, and its refusal, with DELETE', async () => {
    const made = await start();
    const first = await made.peer(dialect);
    const ours = await first.next();
    const rev = dialect === 'circuit' ? 0x08000000 : 0;
    first.say({ cmd: (0xa00fff01 | rev) >>> 0, msgid: ours.msgid });
    first.say({ cmd: (0x600fff01 | rev) >>> 0, msgid: ours.msgid });
    expect(word(await first.next())).toBe('400fff01');
    const second = await made.peer(dialect);
    const refused = await second.next();
    second.say({ cmd: (0xe00fff01 | rev) >>> 0, msgid: refused.msgid, error: NOSUPP });
    expect(word(await second.next())).toBe('400fff01');
    expect(second.closed).toBe(false);
  });

  it('answers LNK_CONN, keeps it open, and answers its close', async () => {
    const made = await start();
    const { peer, lnkConn } = await made.established(dialect);
    expect(word(peer.got[1]!)).toBe(dialect === 'linkid' ? 'a00fff01' : 'a80fff01');
    const opened = made.attach.delta.lnkConnsOpened[0]!;
    expect(opened).toMatchObject({ id: lnkConn, connection: made.attach.delta.connectionsOpened[0]!.id });
    expect(opened.payload.equals(lnkConnPayload(dialect))).toBe(true);
    peer.say({ cmd: 0x400fff01, msgid: CONN });
    expect(word(await peer.next())).toBe(dialect === 'linkid' ? '600fff01' : '680fff01');
    expect(made.attach.delta.lnkConnsClosed).toEqual([lnkConn]);
  });

  it('reports links with their payload, their status messages and their end', async () => {
    const made = await start();
    const { peer } = await made.established(dialect);
    const link = await made.span(peer, dialect);
    const opened = made.attach.delta.linksOpened[0]!;
    expect(opened).toMatchObject({ id: link, msgidLo: SPAN.lo, msgidHi: SPAN.hi });
    expect(opened.payload.equals(spanPayload(dialect))).toBe(true);
    expect(opened.stamp).toBe(1_600_000_000_000_000);
    const status = spanPayload(dialect);
    status[36] = 7;
    peer.say({ cmd: 0x00001207, msgid: SPAN, payload: status });
    peer.say({ cmd: 0x00077701, msgid: SPAN });
    peer.say({ cmd: 0x400fff01, msgid: SPAN });
    expect(word(await peer.next())).toBe(dialect === 'linkid' ? 'e00fff01' : '680fff01');
    expect(made.attach.delta.linkStatuses).toEqual([{ link, status: 7 }]);
    expect(made.attach.delta.linksClosed).toEqual([link]);
    expect(made.gateway.counters.ignoredMessages).toBe(1);
  });

  // Limits: libs/dmsg/src/names.ts MAX_PEER_TYPE
  it('refuses a peer_type over 63 with PARAM', async () => {
    const made = await start();
    const peer = await made.peer(dialect);
    await peer.next();
    const refused = dialect === 'linkid' ? `e00fff01 ${PARAM}` : `e80fff01 ${PARAM}`;
    peer.say({ cmd: openConn(dialect), msgid: CONN, payload: lnkConnPayload(dialect, 64) });
    expect(word(await peer.next())).toBe(refused);
    peer.say({ cmd: 0x80001207, msgid: SPAN, payload: spanPayload(dialect, 64) });
    expect(word(await peer.next())).toBe(refused);
    expect(made.attach.delta.lnkConnsOpened).toEqual([]);
    expect(made.attach.delta.linksOpened).toEqual([]);
  });

  it('opens a relay by command, and closes it by command', async () => {
    const made = await start();
    made.attach.attach(1000);
    const { peer: owner } = await made.established(dialect);
    const { peer, lnkConn } = await made.established(dialect);
    const link = await made.span(owner, dialect);
    made.attach.command({ relays: [{ gateway: '', link, open: [lnkConn], close: [] }] });
    const relay = await peer.next();
    expect(word(relay)).toBe('80001207');
    const offered = decodeLnkSpanPayload(dialect, relay.payload, 0);
    expect(offered).toMatchObject({ dist: 2, rnss: dialect === 'circuit' ? 1100 : 0, label: 'vol0' });
    // The same command again does nothing.
    made.attach.command({ relays: [{ gateway: '', link, open: [lnkConn], close: [] }] });
    made.attach.command({ relays: [{ gateway: '', link, open: [], close: [lnkConn] }] });
    const end = await peer.next();
    expect(word(end)).toBe('400fff01');
    expect(end.msgid).toEqual(relay.msgid);
    peer.say({ cmd: dialect === 'linkid' ? 0xe00fff01 : 0xe80fff01, msgid: relay.msgid });
    if (dialect === 'circuit') await barrier(peer);
    else await linkidBarrier(peer);
    expect(made.attach.delta.refusals).toEqual([]);
  });

  it('closes relays at once when the link closes, and when its connection is lost', async () => {
    const made = await start();
    const { peer: owner } = await made.established(dialect);
    const { peer, lnkConn } = await made.established(dialect);
    const first = await made.span(owner, dialect);
    const second = await made.span(owner, dialect, { lo: 1, hi: 2 });
    made.attach.command({
      relays: [
        { gateway: '', link: first, open: [lnkConn], close: [] },
        { gateway: '', link: second, open: [lnkConn], close: [] },
      ],
    });
    const relays = [await peer.next(), await peer.next()];
    owner.say({ cmd: 0x400fff01, msgid: SPAN });
    const closed = await peer.next();
    expect(word(closed)).toBe('400fff01');
    expect(closed.msgid).toEqual(relays[0]!.msgid);
    owner.destroy();
    const lost = await peer.next();
    expect(word(lost)).toBe('400fff01');
    expect(lost.msgid).toEqual(relays[1]!.msgid);
    expect(made.attach.delta.connectionsClosed).toHaveLength(1);
    expect(made.attach.delta.linksClosed).toEqual([first]);
    expect(made.gateway.counters.relays).toBe(0);
  });

  it('answers a peer that closes a relay, and reports the command that opened it', async () => {
    const made = await start();
    const { peer: owner } = await made.established(dialect);
    const { peer, lnkConn } = await made.established(dialect);
    const link = await made.span(owner, dialect);
    made.attach.command({});
    made.attach.command({ relays: [{ gateway: '', link, open: [lnkConn], close: [] }] });
    const relay = await peer.next();
    peer.say({ cmd: dialect === 'linkid' ? 0xe00fff01 : 0xe80fff01, msgid: relay.msgid });
    const answer = await peer.next();
    expect(word(answer)).toBe('400fff01');
    expect(made.attach.delta.refusals).toEqual([{ lnkConn, linkGateway: '', link, n: 2 }]);
    const refused = made.attach.attach().flatMap((part) => part.refusals);
    expect(refused).toEqual([{ lnkConn, linkGateway: '', link, n: 0 }]);
    // Topology asks again: the link is offered again, and the refusal is forgotten.
    made.attach.command({ relays: [{ gateway: '', link, open: [lnkConn], close: [] }] });
    expect(word(await peer.next())).toBe('80001207');
    expect(made.attach.attach().flatMap((part) => part.refusals)).toEqual([]);
  });

  it('closes the relays of a LNK_CONN before it answers its close', async () => {
    const made = await start();
    const { peer: owner } = await made.established(dialect);
    const { peer, lnkConn } = await made.established(dialect);
    const link = await made.span(owner, dialect);
    made.attach.command({ relays: [{ gateway: '', link, open: [lnkConn], close: [] }] });
    await peer.next();
    peer.say({ cmd: 0x400fff01, msgid: CONN });
    expect(await peer.words(2)).toEqual(['400fff01', dialect === 'linkid' ? '600fff01' : '680fff01']);
  });

  it('relays links of other gateways until it hears that they are gone', async () => {
    const made = await start();
    const { peer, lnkConn } = await made.established(dialect);
    const remote = { gateway: 'other.01234567', link: 5 };
    const wire = dialect === 'linkid' ? ApiDialect.DIALECT_LINKID : ApiDialect.DIALECT_CIRCUIT;
    made.attach.command({
      links: [{ ...remote, dialect: wire, payload: Buffer.from(spanPayload(dialect)), principal: '' }],
      relays: [{ ...remote, open: [lnkConn], close: [] }],
    });
    expect(word(await peer.next())).toBe('80001207');
    expect(made.attach.attach().flatMap((part) => part.relaysOpen)).toEqual([
      { linkGateway: remote.gateway, link: 5, lnkConns: [lnkConn] },
    ]);
    made.attach.command({ linksGone: [remote] });
    expect(word(await peer.next())).toBe('400fff01');
    made.attach.command({ relays: [{ ...remote, open: [lnkConn], close: [] }] });
    expect(made.gateway.counters.commandsStale).toBe(1);
  });

  it('keeps a link of another gateway that its snapshot names: the leader does not send its payload again', async () => {
    const made = await start();
    const { peer, lnkConn } = await made.established(dialect);
    const remote = { gateway: 'other.01234567', link: 5 };
    const wire = dialect === 'linkid' ? ApiDialect.DIALECT_LINKID : ApiDialect.DIALECT_CIRCUIT;
    made.attach.command({
      links: [{ ...remote, dialect: wire, payload: Buffer.from(spanPayload(dialect)), principal: '' }],
      relays: [{ ...remote, open: [lnkConn], close: [] }],
    });
    const first = await peer.next();
    made.attach.attach();
    // Topology does this when the other gateway becomes unreachable and then reachable again.
    made.attach.command({ relays: [{ ...remote, open: [], close: [lnkConn] }] });
    expect(word(await peer.next())).toBe('400fff01');
    made.attach.command({ relays: [{ ...remote, open: [lnkConn], close: [] }] });
    const again = await peer.next();
    expect([word(again), again.msgid === first.msgid]).toEqual(['80001207', false]);
    // The same holds for a relay that the peer has closed.
    peer.say({ cmd: dialect === 'linkid' ? 0xe00fff01 : 0xe80fff01, msgid: again.msgid });
    expect(word(await peer.next())).toBe('400fff01');
    made.attach.attach();
    made.attach.command({ relays: [{ ...remote, open: [], close: [lnkConn] }] });
    made.attach.command({ relays: [{ ...remote, open: [lnkConn], close: [] }] });
    expect(word(await peer.next())).toBe('80001207');
    expect(made.gateway.counters.commandsStale).toBe(0);
  });

  it('accepts valid LNK_VOLCONFs and ignores invalid ones', async () => {
    const made = await start();
    const { peer } = await made.established(dialect);
    const volconf = (index: number, path: string, last = 0) => {
      const payload = Buffer.alloc(448);
      payload[0] = 1;
      payload.write(path, 64, 'latin1');
      payload[127] = last;
      payload.writeInt32LE(index, 128);
      return payload;
    };
    for (const payload of [volconf(-1, 'span:a'), volconf(256, 'span:a'), volconf(0, ''), volconf(0, 'span:a', 65)]) {
      peer.say({ cmd: 0x00002008, msgid: CONN, payload });
    }
    peer.say({ cmd: 0x00002008, msgid: CONN, payload: volconf(255, 'span:old') });
    peer.say({ cmd: 0x00002008, msgid: CONN, payload: volconf(255, 'span:a') });
    await until(() => made.gateway.counters.volconfs === 2);
    expect(made.gateway.counters.volconfsIgnored).toBe(4);
  });

  it('closes a connection that leads back to itself', async () => {
    const made = await start();
    const peer = await made.peer(dialect);
    const ours = await peer.next();
    peer.say({ cmd: ours.cmd, msgid: CONN, payload: ours.payload });
    await peer.end();
    expect(made.gateway.counters.closed.self).toBe(1);
    expect(made.log).toContainEqual(expect.objectContaining({ msg: 'connection closed', reason: 'self' }));
  });

  it('closes only the connection whose input is bad, and says which rule', async () => {
    const made = await start();
    const { peer: bystander } = await made.established(dialect);
    const { peer } = await made.established(dialect);
    peer.say({ cmd: 0x400fff01, msgid: { lo: 77, hi: 0 } });
    await peer.end();
    const worse = await made.peer(dialect);
    await worse.next();
    worse.raw(Buffer.alloc(64, 1));
    await worse.end();
    expect(made.gateway.counters.protocolErrors).toEqual({ TRANS: 1, SYNC: 1 });
    expect(made.log).toContainEqual(
      expect.objectContaining({
        reason: 'protocol-error',
        error: 'TRANS',
        rule: expect.any(String),
        advice: expect.any(String),
      }),
    );
    if (dialect === 'circuit') await barrier(bystander);
    else await linkidBarrier(bystander);
  });

  it('takes half-close as the end of the link, after what is queued', async () => {
    const made = await start();
    const { peer } = await made.established(dialect);
    peer.say({ cmd: 0xc0077701, msgid: { lo: 9, hi: 0 } });
    peer.socket.end();
    expect(word(await peer.next())).toBe(`${dialect === 'linkid' ? 'e00fff01' : 'e80fff01'} ${NOSUPP}`);
    await peer.end();
    await made.attach.until((delta) => delta.connectionsClosed.length === 1);
  });

  it('answers one-way messages as the table of the protocol says', async () => {
    const made = await start();
    const peer = await made.peer(dialect);
    await peer.next();
    peer.say({ cmd: PING });
    expect(word(await peer.next())).toBe(dialect === 'circuit' ? PING_REPLY : `200fff01 ${NOSUPP}`);
    // None of these is answered: a reply, PAD, ERROR, and a LNK_SPAN that names no span.
    peer.say({ cmd: 0x20000101 }, { cmd: 0x00000001 }, { cmd: 0x000fff01 }, { cmd: 0x200fff01 }, { cmd: 0x00001207 });
    peer.say({ cmd: 0x00077701 }, { cmd: 0x00900101 }, { cmd: 0x00001002 });
    expect(await peer.words(3)).toEqual(Array(3).fill(`200fff01 ${NOSUPP}`));
    const unknown = `${dialect === 'linkid' ? 'e00fff01' : 'e80fff01'} ${NOSUPP}`;
    peer.say({ cmd: 0xc0077701, msgid: { lo: 1, hi: 1 } }, { cmd: 0x80001002, msgid: { lo: 2, hi: 1 } });
    expect(await peer.words(2)).toEqual([unknown, unknown]);
  });

  it('prints help, refuses what it does not know, and marks the end of output', async () => {
    const made = await start();
    const peer = await made.peer(dialect);
    await peer.next();
    const end = async () => {
      const last = await peer.next();
      expect(word(last)).toBe(dialect === 'circuit' ? '20100101' : '200fff01');
      expect(last.text).toBe(dialect === 'circuit' ? 'debug> ' : '');
    };
    const lines = [
      'help            Command help\n',
      'span <host>     Span to target host\n',
      'tree            Dump spanning tree\n',
      ...(dialect === 'circuit' ? ['@span <cmd>     Issue via circuit\n'] : []),
    ];
    peer.say({ cmd: 0x00100101, aux: shellAux('help') });
    for (const line of lines) {
      const said = await peer.next();
      expect([word(said), said.text]).toEqual(['20100101', line]);
    }
    await end();
    for (const aux of [shellAux(''), undefined]) {
      peer.say(aux === undefined ? { cmd: 0x00100101 } : { cmd: 0x00100101, aux });
      await end();
    }
    peer.say({ cmd: 0x00100101, aux: shellAux('bogus arg') });
    expect((await peer.next()).text).toBe('Unrecognized command: bogus\n');
    await end();
    peer.say({ cmd: 0x00100101, aux: shellAux('tree') });
    expect((await peer.next()).text).toMatch(/topology cannot be reached\n$/);
    await end();
  });

  it('counts LNK_SPANs with a negative dist, which linkid alone has, and says so once', async () => {
    const made = await start();
    const { peer } = await made.established(dialect);
    const payload = spanPayload(dialect, 3, -1_000_000);
    for (const lo of [1, 2]) peer.say({ cmd: 0x80001207, msgid: { hi: 1, lo }, payload });
    await made.attach.until(({ linksOpened }) => linksOpened.length === 2);
    const [count, lines] = dialect === 'linkid' ? [2, 1] : [0, 0];
    expect(made.gateway.counters.negativeDists).toBe(count);
    expect(made.log.filter(({ msg }) => String(msg).includes('negative dist'))).toHaveLength(lines);
  });

  it('answers a shell command that is a transaction inside it, and ends it', async () => {
    const made = await start();
    const peer = await made.peer(dialect);
    await peer.next();
    peer.say({ cmd: 0xc0100101, msgid: SPAN, aux: shellAux('bogus') });
    const words = dialect === 'circuit' ? ['a8100101', '68100101'] : ['a0100101', '600fff01'];
    expect(await peer.words(2)).toEqual(words);
    expect(peer.got.at(-1)!.msgid).toEqual(SPAN);
  });

  it('connects for `span HOST` in the dialect of the shell, and closes a connection to itself', async () => {
    const made = await start();
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const accepted = new Promise<RawPeer>((resolve) =>
      server.once('connection', (socket) => resolve(RawPeer.of(socket, dialect))),
    );
    const peer = await made.peer(dialect);
    await peer.next();
    const target = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    peer.say({ cmd: 0x00100101, aux: shellAux(`span ${target}`) });
    const called = await accepted;
    const conn = await called.next();
    expect(word(conn)).toBe(openConn(dialect).toString(16));
    // The command is answered only once the target has answered our LNK_CONN, and so is a peer.
    called.say({ cmd: dialect === 'linkid' ? 0xa00fff01 : 0xa80fff01, msgid: conn.msgid });
    expect((await peer.next()).text).toBe(`Connected to ${target}\n`);
    const { connectionsOpened } = made.attach.delta;
    expect(connectionsOpened.at(-1)).toMatchObject({ origin: ConnectionOrigin.CONNECTION_ORIGIN_SHELL });
    called.destroy();
    server.close();
    await peer.next();
    await made.gateway.dial({ host: '127.0.0.1', port: made.port(dialect) }, dialect, { kind: 'shell' });
    // Both ends of that connection are the gateway's own: opened, recognised, closed.
    await made.attach.until((delta) => delta.connectionsClosed.length === 3);
    expect(made.gateway.counters.closed.self).toBeGreaterThan(0);
    expect(peer.closed).toBe(false);
  });

  it('does not say what answers at the target of `span HOST` if that is no peer', async () => {
    const made = await start();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
    const peer = await made.peer(dialect);
    await peer.next();
    const target = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    peer.say({ cmd: 0x00100101, aux: shellAux(`span ${target}`) });
    const socket = await accepted;
    const ended = once(socket, 'end');
    await once(socket, 'data');
    made.clock.advance(5_000);
    expect((await peer.next()).text).toBe(`Connection to ${target} failed\n`);
    await ended;
    socket.destroy();
    server.close();
  });

  it('connects for `span HOST` only where the setting lets peers have it connect', async () => {
    const made = await start({ env: { SPANMESH_DIAL_ALLOW: '' } });
    let knocks = 0;
    const server = createServer(() => knocks++);
    await new Promise<void>((resolve) => server.listen(0, '::', resolve));
    const { port } = server.address() as AddressInfo;
    const peer = await made.peer(dialect);
    await peer.next();
    const hosts = ['127.0.0.1', 'localhost', '0.0.0.0', '[::1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '127.1'];
    for (const host of [...hosts, '169.254.169.254', '2130706433', '0x7f.1']) {
      for (const target of [`${host}:${port}`, `${host}:987`]) {
        peer.say({ cmd: 0x00100101, aux: shellAux(`span ${target}`) });
        expect((await peer.next()).text).toBe(`Connection to ${target} failed\n`);
        await peer.next();
      }
    }
    expect([knocks, made.gateway.counters.connectionsDialled]).toEqual([0, 0]);
    server.close();
  });

  it('connects for `span HOST` to no port of its own, whatever the setting says', async () => {
    const made = await start({ env: { SPANMESH_DIAL_ALLOW: '127.0.0.0/8:*' } });
    const peer = await made.peer(dialect);
    await peer.next();
    for (const { port } of [...made.gateway.ports, { port: made.gateway.trunks!.port }]) {
      peer.say({ cmd: 0x00100101, aux: shellAux(`span 127.0.0.1:${port}`) });
      expect((await peer.next()).text).toBe(`Connection to 127.0.0.1:${port} failed\n`);
      await peer.next();
    }
    expect(made.gateway.counters).toMatchObject({ connectionsDialled: 0, connectionsAccepted: 1 });
  });

  it('says when `span` fails', async () => {
    const made = await start();
    const peer = await made.peer(dialect);
    await peer.next();
    for (const [argument, shown] of [
      ['', '(null)'],
      ['192.0.2.1', '192.0.2.1'],
      ['a:b:c:x', 'a:b:c:x'],
    ]) {
      peer.say({ cmd: 0x00100101, aux: shellAux(`span ${argument}`) });
      expect((await peer.next()).text).toBe(`Connection to ${shown} failed\n`);
      await peer.next();
    }
  });

  it('prints the tree as the references do', async () => {
    const key = { dialect: 0, id: 'c-id', peerType: 2, peerLabel: 'host/dev0' } as const;
    const nodeKey = { cluster: key, id: 'n-id', label: 'serno\n0' };
    const made = await start({
      treeSource: async function* (request) {
        expect(request.withRelays).toBe(dialect === 'circuit');
        const link = {
          id: 'gw.80000000:9',
          node: nodeKey,
          connection: 'gw.80000000:4',
          dist: 1,
          rnss: 0,
          pfsType: 0,
          peerType: 2,
          protoVersion: 1,
          label: '',
          status: 0,
          mediaBytes: 0n,
          mediaBlockSize: 0,
          stamp: 1n,
          msgid: 0x45e22346ec810020n,
          relays: 1,
          suspect: false,
          sinceUs: 0n,
        };
        const node = { key: nodeKey, label: 'vol0', pfsType: 8, links: 1, bestDist: 1 };
        const cluster = { key, nodes: 1, links: 1, peerTypeName: 'BLOCK' };
        const relays = [{ lnkConn: 'other.1:2', connection: 'other.1:7', withheld: false }];
        yield { revision: '', clusters: [{ cluster, nodes: [{ node, links: [{ link, relays }] }] }] };
        // Further relays of the last link, and a further node of the last cluster (topology.proto, GetTreeResponse).
        const further = [
          { lnkConn: 'other.1:3', connection: 'other.1:8', withheld: false },
          // Not open on the wire.
          { lnkConn: 'other.1:4', connection: 'other.1:9', withheld: true },
        ];
        yield { revision: '', clusters: [{ cluster, nodes: [{ node, links: [{ link, relays: further }] }] }] };
        const other = { ...node, key: { ...nodeKey, id: 'm-id' } };
        yield { revision: '', clusters: [{ cluster, nodes: [{ node: other, links: [] }] }] };
      },
    });
    const peer = await made.peer(dialect);
    await peer.next();
    peer.say({ cmd: 0x00100101, aux: shellAux('tree') });
    const expected =
      dialect === 'linkid'
        ? ['Cluster c-id', '    Node n-id (vol0)', '\tLink dist=1 via 4', '    Node m-id (vol0)']
        : [
            'Cluster BLOCK c-id (host/dev0)',
            '    Node 08 n-id (serno?0)',
            '\tSLink msgid 45e22346ec810020 dist=1 via 4',
            '\t    Relay-out msgid ---------------- via 7',
            '\t    Relay-out msgid ---------------- via 8',
            '    Node 08 m-id (serno?0)',
          ];
    for (const line of expected) expect((await peer.next()).text).toBe(`${line}\n`);
    expect((await peer.next()).text).toBe(dialect === 'linkid' ? '' : 'debug> ');
  });

  it('stops in order: relays, LNK_CONNs, FIN', async () => {
    const made = await start();
    const { peer: owner } = await made.established(dialect);
    const { peer, lnkConn } = await made.established(dialect);
    const link = await made.span(owner, dialect);
    made.attach.command({ relays: [{ gateway: '', link, open: [lnkConn], close: [] }] });
    const relay = await peer.next();
    const stopped = made.gateway.stop();
    const ends = [await peer.next(), await peer.next(), await peer.next()];
    expect(ends.map(word)).toEqual(['400fff01', dialect === 'linkid' ? '600fff01' : '680fff01', '400fff01']);
    expect(ends.map(({ msgid }) => msgid)).toEqual([relay.msgid, CONN, peer.got[0]!.msgid]);
    // The peer does not answer: FIN comes after a moment all the same.
    expect(peer.closed).toBe(false);
    made.clock.advance(1_000);
    await peer.end();
    expect(made.attach.calls).toEqual(['start']);
    // The owner does not close its side: its connection is destroyed in the end.
    peer.socket.end();
    await made.attach.until((delta) => delta.connectionsClosed.length === 2);
    made.clock.advance(4_000);
    await stopped;
    expect(made.attach.calls).toEqual(['start', 'stop']);
    expect(made.gateway.notReady()).toBe('stopping');
  });
});

describe('given a listener without a dialect', () => {
  it.each(['linkid', 'circuit'] as const)('takes the dialect from a first LNK_CONN of %s', async (dialect) => {
    const made = await start();
    const peer = await made.peer(dialect, 'auto');
    // This message is held until the dialect is known.
    peer.say({ cmd: 0xc0077701, msgid: { lo: 3, hi: 3 } });
    peer.say({ cmd: openConn(dialect), msgid: CONN, payload: lnkConnPayload(dialect) });
    const rev = dialect === 'circuit' ? '8' : '0';
    expect(await peer.words(3)).toEqual([openConn(dialect).toString(16), `e${rev}0fff01 ${NOSUPP}`, `a${rev}0fff01`]);
  });

  it('takes a first DBG_SHELL as a sign of linkid', async () => {
    const made = await start();
    const peer = await made.peer('linkid', 'auto');
    peer.say({ cmd: 0x00100101, aux: shellAux('') });
    expect(await peer.words(2)).toEqual(['80001108', '200fff01']);
  });

  it('goes on in the default dialect when the time is over, and speaks', async () => {
    const made = await start();
    const peer = await made.peer('circuit', 'auto');
    const other = await made.peer('circuit', 'auto');
    peer.say({ cmd: PING });
    // The answer to the other peer proves that the PING was read before the clock advances.
    other.say({ cmd: PING }, { cmd: openConn('circuit'), msgid: CONN, payload: lnkConnPayload('circuit') });
    await other.words(3);
    expect(peer.got).toEqual([]);
    made.clock.advance(2_000);
    expect(await peer.words(2)).toEqual(['80001106', PING_REPLY]);
  });
});

describe('given a circuit connection', () => {
  it('refuses a second LNK_CONN with PARAM', async () => {
    const made = await start();
    const { peer } = await made.established('circuit');
    peer.say({ cmd: 0x80001106, msgid: { lo: 5, hi: 5 }, payload: lnkConnPayload('circuit') });
    expect(word(await peer.next())).toBe(`e80fff01 ${PARAM}`);
    peer.say({ cmd: 0x400fff01, msgid: { lo: 5, hi: 5 } });
    await barrier(peer);
  });

  it('answers a PING that is a transaction inside it, and ends it', async () => {
    const made = await start();
    const { peer } = await made.established('circuit');
    peer.say({ cmd: 0xc0000101, msgid: SPAN });
    expect(word(await peer.next())).toBe('e8000101');
  });

  it('answers transactions on a span of the peer itself, and passes on those for another peer', async () => {
    const made = await start();
    const { peer: owner } = await made.established('circuit');
    const { peer, lnkConn } = await made.established('circuit');
    const link = await made.span(owner, 'circuit');
    owner.say({ cmd: 0xc0000101, msgid: { lo: 7, hi: 0 }, circuit: SPAN });
    expect(word(await owner.next())).toBe('ec000101');
    made.attach.command({ relays: [{ gateway: '', link, open: [lnkConn], close: [] }] });
    const relay = await peer.next();
    peer.say({ cmd: 0xc4100101, msgid: { lo: 8, hi: 0 }, circuit: relay.msgid, aux: shellAux('help') });
    peer.say({ cmd: 0x04100101, circuit: relay.msgid, aux: shellAux('help') });
    const passed = await owner.next();
    expect([word(passed), passed.circuit, passed.text]).toEqual(['c4100101', SPAN, 'help']);
    expect(word(await owner.next())).toBe('04100101');
    await barrier(peer);
    expect(made.gateway.counters.routedDropped).toBe(0);
  });

  it('probes by command: any byte shows life, and silence closes only a peer that has answered a PING before', async () => {
    const made = await start();
    const { peer } = await made.established('circuit');
    const connection = made.attach.delta.connectionsOpened[0]!.id;
    const suspects = () => made.attach.attach().flatMap((part) => part.connectionsOpened.map(({ suspect }) => suspect));
    made.attach.command({ probe: [connection] });
    expect(suspects()).toEqual([true]);
    expect(word(await peer.next())).toBe('00000101');
    // The peer has never answered a PING: it stays connected.
    made.clock.advance(10_000);
    peer.say({ cmd: 0x20000101 });
    await made.attach.until((delta) => delta.connectionsAlive.length === 1);
    expect(suspects()).toEqual([false]);
    made.attach.command({ probe: [connection] });
    expect(word(await peer.next())).toBe('00000101');
    made.clock.advance(4_999);
    expect(peer.closed).toBe(false);
    made.clock.advance(1);
    await peer.end();
    expect(made.gateway.counters.closed['half-dead']).toBe(1);
  });

  it('probes idle peers if told to', async () => {
    const made = await start({ env: { SPANMESH_IDLE_PROBE: '30s' } });
    const { peer } = await made.established('circuit');
    const quiet = await made.established('circuit');
    made.clock.advance(30_000);
    expect(word(await peer.next())).toBe('00000101');
    expect(word(await quiet.peer.next())).toBe('00000101');
    peer.say({ cmd: 0x20000101 });
    await barrier(peer);
    made.clock.advance(30_000);
    await peer.next();
    made.clock.advance(10_000);
    await peer.end();
    expect(quiet.peer.closed).toBe(false);
  });

  it('is closed by command', async () => {
    const made = await start();
    const { peer } = await made.established('circuit');
    const connection = made.attach.delta.connectionsOpened[0]!.id;
    made.attach.command({ close: [{ connection, reason: 'asked for', inOrder: false }], probe: [99] });
    await peer.end();
    expect(made.gateway.counters).toMatchObject({ commandsStale: 1, closed: { command: 1 } });
  });
});

describe('given a linkid connection', () => {
  // Limits: link-gateway/src/limits.ts DEFAULT_MAX_LNK_CONNS_PER_CONNECTION
  it('takes several LNK_CONNs up to the limit, each with relays of its own', async () => {
    const made = await start({ env: { SPANMESH_MAX_LNK_CONNS_PER_CONNECTION: '2' } });
    const { peer } = await made.established('linkid');
    peer.say({ cmd: 0x80001108, msgid: { lo: 5, hi: 5 }, payload: lnkConnPayload('linkid') });
    peer.say({ cmd: 0x80001108, msgid: { lo: 6, hi: 5 }, payload: lnkConnPayload('linkid') });
    expect(await peer.words(2)).toEqual(['a00fff01', `e00fff01 ${NOSUPP}`]);
    const { peer: owner } = await made.established('linkid');
    const link = await made.span(owner, 'linkid');
    const open = made.attach.delta.lnkConnsOpened.slice(0, 2).map(({ id }) => id);
    made.attach.command({ relays: [{ gateway: '', link, open, close: [] }] });
    expect(await peer.words(2)).toEqual(['80001207', '80001207']);
    peer.say({ cmd: 0x400fff01, msgid: { lo: 5, hi: 5 } });
    expect(await peer.words(2)).toEqual(['400fff01', '600fff01']);
    expect(made.gateway.counters.relays).toBe(1);
  });

  it('throws away messages for another peer that name no known relay', async () => {
    const made = await start();
    const { peer } = await made.established('linkid');
    peer.say({ cmd: 0x80100101, msgid: { lo: 8, hi: 0 }, target: { lo: 1, hi: 1 }, aux: shellAux('help') });
    await linkidBarrier(peer);
    expect(made.gateway.counters.routedDropped).toBe(1);
  });

  it('takes ERROR|REPLY NOSUPP as the answer to its PING', async () => {
    const made = await start();
    const { peer } = await made.established('linkid');
    const connection = made.attach.delta.connectionsOpened[0]!.id;
    made.attach.command({ probe: [connection] });
    await peer.next();
    peer.say({ cmd: 0x200fff01, error: NOSUPP });
    await made.attach.until((delta) => delta.connectionsAlive.length === 1);
    made.attach.command({ probe: [connection] });
    await peer.next();
    made.clock.advance(5_000);
    await peer.end();
  });
});

describe('given limits', () => {
  it('closes a peer that sends nothing at all in time, and no other', async () => {
    const made = await start();
    const silent = await made.peer('circuit');
    await silent.next();
    const { peer } = await made.established('circuit');
    made.clock.advance(60_000);
    await silent.end();
    made.clock.advance(3_600_000);
    await barrier(peer);
    expect(made.gateway.counters.closed.silent).toBe(1);
  });

  // Limits: link-gateway/src/limits.ts DEFAULT_MAX_CONNECTIONS_PER_ADDRESS
  it('refuses connections from one address beyond the limit, until one has closed', async () => {
    const made = await start({ env: { SPANMESH_MAX_CONNECTIONS_PER_ADDRESS: '1' } });
    const { peer } = await made.established('circuit');
    const refused = await made.peer('circuit');
    await refused.end();
    expect(made.gateway.counters.refused['too-many-from-address']).toBe(1);
    expect(limitsTold(made)).toEqual(['127.0.0.1 connections']);
    peer.destroy();
    await made.attach.until((delta) => delta.connectionsClosed.length === 1);
    await expect(made.established('circuit')).resolves.toBeDefined();
  });

  it('names who stacks transactions deeper than they may be', async () => {
    const made = await start();
    const { peer } = await made.established('circuit');
    const levels = Array.from({ length: 20 }, (_, i) => i + 1);
    // Commands that nobody knows: each is answered at once, and its own half stays open.
    const stacked = levels.map((lo) => ({
      cmd: 0x80777701,
      msgid: { lo, hi: 7 },
      ...(lo > 1 && { circuit: { lo: lo - 1, hi: 7 } }),
    }));
    peer.say(...stacked);
    for (const _ of levels) await peer.next();
    expect(limitsTold(made)).toEqual(['127.0.0.1 stacked transactions']);
  });

  // Limits: link-gateway/src/limits.ts DEFAULT_MAX_LINKS_PER_CONNECTION
  // Causes: line refused: too many open
  it('refuses links beyond the limit of a connection', async () => {
    const made = await start({ env: { SPANMESH_MAX_LINKS_PER_CONNECTION: '1' } });
    const { peer } = await made.established('circuit');
    await made.span(peer, 'circuit');
    peer.say({ cmd: 0x80001207, msgid: { lo: 2, hi: 2 }, payload: spanPayload('circuit') });
    expect(word(await peer.next())).toBe(`e80fff01 ${NOSUPP}`);
    expect(made.log.find(({ msg }) => msg === 'refused: too many open')).toMatchObject({ what: 'LNK_SPAN', limit: 1 });
    expect(limitsTold(made)).toEqual(['127.0.0.1 LNK_SPANs of a connection']);
  });

  // Limits: link-gateway/src/limits.ts DEFAULT_MAX_TRANSACTIONS
  it('closes a connection that opens too many transactions', async () => {
    const made = await start({ env: { SPANMESH_MAX_TRANSACTIONS: '2' } });
    const { peer } = await made.established('circuit');
    await made.span(peer, 'circuit');
    peer.say({ cmd: 0x80001207, msgid: { lo: 2, hi: 2 }, payload: spanPayload('circuit') });
    expect(word(await peer.next())).toBe(`000fff01 ${PARAM}`);
    await peer.end();
    expect(made.gateway.counters.protocolErrors).toEqual({ PARAM: 1 });
    expect(made.gateway.counters.closed['transaction-limit']).toBe(1);
  });

  it('closes the connection that holds most half-received bytes', async () => {
    const made = await start({ env: { SPANMESH_RECEIVE_LIMIT: '4096' } });
    const { peer: small } = await made.established('circuit');
    const { peer } = await made.established('circuit');
    const text = (bytes: number) =>
      encodeMessage({ rules: CIRCUIT, cmd: 0x00100101, aux: Buffer.alloc(bytes, 32), salt: 1 });
    const whole = text(2_000);
    small.raw(whole.subarray(0, 1_000));
    peer.raw(text(100_000).subarray(0, 50_000));
    await peer.end();
    expect(made.gateway.counters.closed['receive-limit']).toBe(1);
    small.raw(whole.subarray(1_000));
    expect((await small.next()).text).toBe('Command too long\n');
  });

  // Limits: link-gateway/src/limits.ts DEFAULT_SEND_LIMIT_BYTES
  it('closes a peer that does not read once too many bytes are queued for it', async () => {
    const made = await start({ env: { SPANMESH_SEND_LIMIT: '65536' } });
    const { peer: owner } = await made.established('circuit');
    const { peer, lnkConn } = await made.established('circuit');
    const link = await made.span(owner, 'circuit');
    peer.socket.pause();
    // The relay is opened and closed over and over: opening is paced, closing is not.
    for (let i = 0; i < 20_000 && made.gateway.counters.closed['send-limit'] === 0; i++) {
      made.attach.command({ relays: [{ gateway: '', link, open: [lnkConn], close: [] }] });
      made.attach.command({ relays: [{ gateway: '', link, open: [], close: [lnkConn] }] });
      if (i % 200 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await made.attach.until((delta) => delta.connectionsClosed.length === 1);
    expect(made.gateway.counters.closed['send-limit']).toBe(1);
    await barrier(owner);
  });

  it('opens a relay that waits, be it the only one, once the peer reads again', async () => {
    const made = await start();
    const { peer: owner } = await made.established('circuit');
    const { peer, lnkConn } = await made.established('circuit');
    const link = await made.span(owner, 'circuit');
    const relay = (open: number[], close: number[]) =>
      made.attach.command({ relays: [{ gateway: '', link, open, close }] });
    peer.socket.pause();
    while (made.gateway.queuedBytes < RELAY_PACE_BYTES) {
      for (let i = 0; i < 100 && made.gateway.queuedBytes < RELAY_PACE_BYTES; i++) {
        relay([lnkConn], []);
        relay([], [lnkConn]);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { relaysOpened } = made.gateway.counters;
    relay([lnkConn], []);
    expect(made.gateway.counters.relaysOpened).toBe(relaysOpened);
    peer.socket.resume();
    await until(() => made.gateway.counters.relaysOpened === relaysOpened + 1);
  });

  it('closes a peer that takes no bytes for too long', async () => {
    const made = await start();
    const { peer: owner } = await made.established('circuit');
    const { peer, lnkConn } = await made.established('circuit');
    peer.socket.pause();
    const links: number[] = [];
    for (let i = 0; i < 20; i++) links.push(await made.span(owner, 'circuit', { lo: i, hi: 9 }));
    const relays = (open: number[], close: number[]) => links.map((link) => ({ gateway: '', link, open, close }));
    const queued = () => made.gateway.queuedBytes;
    while (queued() < 100_000) {
      made.attach.command({ relays: relays([lnkConn], []) });
      made.attach.command({ relays: relays([], [lnkConn]) });
      await new Promise((resolve) => setImmediate(resolve));
    }
    // The peer's kernel may still take some bytes, which counts as progress; its buffers have an end.
    while (made.gateway.counters.closed.stalled === 0) {
      made.clock.advance(10_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await made.attach.until((delta) => delta.connectionsClosed.length === 1);
    await barrier(owner);
  });

  it('sends a peer that reads all of its relays, however many', async () => {
    const made = await start({ env: { SPANMESH_SEND_LIMIT: '4000000' } });
    const { peer: owner } = await made.established('circuit');
    const { peer, lnkConn } = await made.established('circuit');
    const count = 10_000;
    for (let i = 1; i <= count; i++)
      owner.say({ cmd: 0x80001207, msgid: { lo: i, hi: 1 }, payload: spanPayload('circuit') });
    const { linksOpened } = await made.attach.until((delta) => delta.linksOpened.length === count);
    made.attach.command({
      relays: linksOpened.map(({ id }) => ({ gateway: '', link: id, open: [lnkConn], close: [] })),
    });
    for (let i = 0; i < count; i++) expect((await peer.next()).base).toBe(0x1207);
    expect(made.gateway.counters).toMatchObject({ relays: count, relaysOpened: count, closed: { 'send-limit': 0 } });
  });
});

describe('given a snapshot', () => {
  it('has everything that is open, in parts', async () => {
    const made = await start();
    expect(made.gateway.notReady()).not.toBeNull();
    const nothing = { trunks: { established: [], unreachable: [] } };
    expect(made.attach.attach()).toEqual([StateChange.fromPartial(nothing)]);
    expect(made.gateway.notReady()).toBeNull();
    const { peer: owner } = await made.established('circuit');
    const { peer, lnkConn } = await made.established('circuit');
    const count = 2_000;
    for (let i = 1; i <= count; i++)
      owner.say({ cmd: 0x80001207, msgid: { lo: i, hi: 1 }, payload: spanPayload('circuit') });
    const { linksOpened, connectionsOpened, lnkConnsOpened } = await made.attach.until(
      (delta) => delta.linksOpened.length === count,
    );
    made.attach.command({
      relays: linksOpened.map(({ id }) => ({ gateway: '', link: id, open: [lnkConn], close: [] })),
    });
    await peer.next();
    const parts = made.attach.attach();
    expect(parts.length).toBeGreaterThan(1);
    expect(parts.flatMap((part) => part.connectionsOpened)).toEqual(connectionsOpened);
    expect(parts.flatMap((part) => part.lnkConnsOpened)).toEqual(lnkConnsOpened);
    expect(parts.flatMap((part) => part.linksOpened)).toEqual(linksOpened);
    expect(parts.flatMap((part) => part.relaysOpen)).toHaveLength(count);
    expect(new Set(linksOpened.map(({ stamp }) => stamp)).size).toBe(count);
  });
});

describe('given a listen address that is in use', () => {
  it('says which setting is wrong', async () => {
    const made = await start();
    const listen = `circuit://127.0.0.1:${made.port('circuit')}`;
    await expect(start({ env: { SPANMESH_DMSG_LISTEN: listen } })).rejects.toThrow(SettingError);
  });
});
