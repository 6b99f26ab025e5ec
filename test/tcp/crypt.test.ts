import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CryptSide, HANDSHAKE, makeKeys, plainHandshake, sealHandshake } from '../peer/crypt.ts';
import { KeysDir } from '../peer/keys-dir.ts';
import { LivePeer } from '../peer/live-peer.ts';
import { testUuid } from '../peer/payloads.ts';
import { RawPeer } from '../peer/raw-peer.ts';
import { listTraffic } from '../peer/traffic.ts';
import { CREATE, type Dialect, encode, LNK_CONN } from '../peer/wire.ts';
import { World } from '../peer/world.ts';

// Addresses of the tests' peers. The keys directory treats each of them differently.
const SEALED = '127.0.0.2';
const PLAIN = '127.0.0.3';
const UNTAGGED = '127.0.0.4';
const UNKNOWN = '127.0.0.5';
const BROKEN = '127.0.0.6';
/** In 127.0.1.0/24. */
const BY_PREFIX = '127.0.1.7';

/** A connection that does not speak DMSG: counts the bytes that it receives, and reports its end. */
class Wire {
  readonly socket: Socket;
  bytes = 0;
  readonly ended: Promise<unknown>;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.bytes += chunk.length;
    });
    socket.on('error', () => {});
    this.ended = Promise.race([once(socket, 'end'), once(socket, 'close')]);
  }
}

describe.each(['linkid', 'circuit'] as Dialect[])('encrypted peers, %s', (dialect) => {
  let keys: KeysDir;
  let world: World;
  beforeAll(async () => {
    keys = new KeysDir();
    const { peer } = keys;
    for (const name of [`${SEALED}.pub`, `${UNTAGGED}.pub`, '127.0.1.0_24.pub']) keys.write(`remote/${name}`, peer.pub);
    keys.write(`remote/${UNTAGGED}.untagged`, '');
    keys.write(`remote/${PLAIN}.none`, '');
    keys.write(`remote/${BROKEN}.pub`, makeKeys(1024).pub);
    world = await World.start({
      markers: dialect === 'linkid' ? 'circuit' : 'linkid',
      settings: { SPANMESH_KEYS_DIR: keys.path, SPANMESH_HANDSHAKE_TIMEOUT: '2s' },
    });
  });
  afterEach(() => world.clear());
  afterAll(async () => {
    await world?.stop();
    keys?.remove();
  });

  const crypt = () => keys.crypt;
  const sealed = () => world.live(dialect, { name: 'sealed', localAddress: SEALED, crypt: crypt() });
  const plain = () => world.live(dialect, { name: 'plain', localAddress: PLAIN });

  async function wire(localAddress: string): Promise<Wire> {
    const raw = await world.raw(dialect, { localAddress });
    raw.socket.removeAllListeners('data');
    return new Wire(raw.socket);
  }

  /** Expects each peer to get a relay of every other peer's span. */
  async function expectRelayed(...peers: LivePeer[]): Promise<void> {
    for (const [n, peer] of peers.entries()) {
      await peer.openConn({ label: `p${n}` });
      peer.openSpan({ node: testUuid(0x700 + n), nodeLabel: `n${n}` });
    }
    for (const [n, peer] of peers.entries()) {
      for (const m of peers.keys()) if (m !== n) await peer.relay(({ nodeLabel }) => nodeLabel === `n${m}`);
    }
    await world.settled(...peers);
    for (const peer of peers) expect(peer.relays()).toHaveLength(peers.length - 1);
  }

  /** How many handshakes have failed with this error. */
  async function failed(error: string): Promise<number> {
    return (await world.metrics()).get(`spanmesh_gateway_handshakes_failed_total{error="${error}"}`) ?? 0;
  }

  /** Expects the offender's connection to be closed with this error, and other peers to be served before and after. */
  async function expectRefused(error: string, offend: () => Promise<Wire>): Promise<Wire> {
    const before = await failed(error);
    const [bystander, other] = [await sealed(), await plain()];
    await expectRelayed(bystander, other);
    const offender = await offend();
    await offender.ended;
    offender.socket.destroy();
    expect(await failed(error)).toBe(before + 1);
    await world.settled(bystander, other);
    expect(bystander.relays()).toHaveLength(1);
    const newcomer = await sealed();
    await newcomer.openConn({ label: 'newcomer' });
    await newcomer.relay(({ nodeLabel }) => nodeLabel === 'n1');
    return offender;
  }

  it('spans are relayed between encrypted and plaintext peers, with tags or not, by address or prefix', async () => {
    await expectRelayed(
      await sealed(),
      await plain(),
      await world.live(dialect, { name: 'untagged', localAddress: UNTAGGED, crypt: { ...crypt(), tagged: false } }),
      await world.live(dialect, { name: 'by prefix', localAddress: BY_PREFIX, crypt: crypt() }),
    );
  });

  it('bytes are counted as they are on the wire', async () => {
    const [giver, other] = [await sealed(), await plain()];
    await expectRelayed(giver, other);
    const { socket } = giver.raw;
    const address = `${SEALED}:${socket.localPort}`;
    const count = async () => {
      const found = (await listTraffic(world.standalone.grpcPort)).find((one) => one.address === address);
      return { in: found?.bytesIn ?? 0, out: found?.bytesOut ?? 0, sent: socket.bytesWritten, read: socket.bytesRead };
    };
    const before = await count();
    for (let n = 0; n < 10; n++) giver.openSpan({ node: testUuid(0x800 + n), nodeLabel: `more ${n}` });
    await world.settled(giver, other);
    const after = await count();
    expect([after.in - before.in, after.out - before.out]).toEqual([
      after.sent - before.sent,
      after.read - before.read,
    ]);
    expect(after.in - before.in).toBeGreaterThan(10 * 256);
  });

  it('a listener without a fixed dialect waits for it after the handshake', async () => {
    const port = world.port(null);
    const peer = await world.live(dialect, { localAddress: SEALED, crypt: crypt(), port });
    await expectRelayed(peer, await plain());
    expect(peer.routerConn).not.toBeNull();
  });

  it('takes the handshake in any pieces, and the stream with it', async () => {
    const other = await plain();
    await other.openConn({ label: 'other' });
    const side = new CryptSide(crypt());
    const giver = await wire(SEALED);
    const { connBody, connFields, spanBody, spanFields } = await import('../peer/payloads.ts');
    const messages = [
      { cmd: CREATE | LNK_CONN[dialect], msgid: 5n, body: connBody(dialect, connFields({})) },
      { cmd: (CREATE | 0x00001207) >>> 0, msgid: 6n, body: spanBody(dialect, spanFields({ nodeLabel: 'cut' })) },
    ];
    const stream = Buffer.concat([
      side.handshake,
      side.seal(Buffer.concat(messages.map((message, n) => encode(dialect, message, 0x11223300 + n)))),
    ]);
    for (let at = 0; at < stream.length; at += 61) {
      giver.socket.write(stream.subarray(at, at + 61));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await other.relay(({ nodeLabel }) => nodeLabel === 'cut');
  });

  it('connections that the router dials are encrypted, too', async () => {
    const accepted = Promise.withResolvers<LivePeer>();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      accepted.resolve(LivePeer.over(new RawPeer(socket, dialect, 'dialled', new CryptSide(crypt()))));
    });
    server.listen(0, SEALED);
    await once(server, 'listening');
    const other = await plain();
    other.raw.send({
      cmd: 0x00100101,
      aux: Buffer.concat([Buffer.from(`span ${SEALED}:${(server.address() as AddressInfo).port}\0`)]),
    });
    const dialled = await accepted.promise;
    await dialled.openConn({ label: 'dialled' });
    dialled.openSpan({ nodeLabel: 'dialled' });
    await other.openConn({ label: 'other' });
    await other.relay(({ nodeLabel }) => nodeLabel === 'dialled');
    dialled.raw.end();
    await dialled.raw.untilEnded();
    dialled.raw.destroy();
    server.close();
  });

  // Recorded cases (errors.json) by their names there.
  it('handshake-ok: 512 bytes come at once, without waiting', async () => {
    const peer = await wire(SEALED);
    await until(
      () => peer.bytes === HANDSHAKE,
      () => `${peer.bytes} bytes`,
    );
    peer.socket.destroy();
  });

  it('no-key-file: closed, and no byte is sent', async () => {
    const refusals = 'spanmesh_gateway_connections_refused_total{reason="no-key"}';
    const before = (await world.metrics()).get(refusals)!;
    const peer = await wire(UNKNOWN);
    await peer.ended;
    expect(peer.bytes).toBe(0);
    expect((await world.metrics()).get(refusals)).toBe(before + 1);
  });

  it('a key of another size for the peer: closed, and other peers are served', async () => {
    const peer = await wire(BROKEN);
    await peer.ended;
    expect(peer.bytes).toBe(0);
    expect((await world.metrics()).get('spanmesh_gateway_connections_refused_total{reason="bad-key"}')).toBeGreaterThan(
      0,
    );
    await expectRelayed(await sealed(), await plain());
  });

  const variants: [string, (plainText: Buffer) => void][] = [
    ['handshake-bad-verifier', (text) => text.writeUInt8(text[80]! ^ 1, 80)],
    ['handshake-version-2', (text) => text.writeUInt16LE(2, 10)],
    ['a wrong magic', (text) => text.writeUInt16LE(0x4833, 8)],
  ];
  it.each(variants)('%s: KEYXCHGFAIL', async (_name, damage) => {
    await expectRefused('KEYXCHGFAIL', async () => {
      const text = plainHandshake();
      damage(text);
      const offender = await wire(SEALED);
      offender.socket.write(sealHandshake(text, crypt()));
      return offender;
    });
  });

  it('handshake-garbage: KEYXCHGFAIL, after our 512 bytes', async () => {
    const offender = await expectRefused('KEYXCHGFAIL', async () => {
      const one = await wire(SEALED);
      one.socket.write(randomBytes(HANDSHAKE).fill(1, 0, 1).fill(1, 256, 257));
      return one;
    });
    expect(offender.bytes).toBe(HANDSHAKE);
  });

  it("somebody else's key: KEYXCHGFAIL", async () => {
    const stranger = makeKeys();
    for (const own of [
      { own: stranger.own, peer: keys.router.shown },
      { own: keys.peer.own, peer: stranger.shown },
    ]) {
      await expectRefused('KEYXCHGFAIL', async () => {
        const offender = await wire(SEALED);
        offender.socket.write(new CryptSide(own).handshake);
        return offender;
      });
      await world.clear();
    }
  });

  it('handshake-truncated: closed, at the peer’s FIN or when its time is over', async () => {
    await expectRefused('closed', async () => {
      const offender = await wire(SEALED);
      offender.socket.end(new CryptSide(crypt()).handshake.subarray(0, 300));
      return offender;
    });
    await world.clear();
    await expectRefused('timeout', async () => {
      const offender = await wire(SEALED);
      offender.socket.write(new CryptSide(crypt()).handshake.subarray(0, 511));
      return offender;
    });
  });

  it('a recorded handshake and stream: accepted once, refused when played again', async () => {
    const side = new CryptSide(crypt());
    const first = await world.live(dialect, { localAddress: SEALED, crypt: side });
    await first.openConn({ label: 'first' });
    await expectRefused('KEYXCHGFAIL', async () => {
      const offender = await wire(SEALED);
      offender.socket.write(side.handshake);
      return offender;
    });
    expect(first.raw.isEnded).toBe(false);
  });

  it('a recorded stream whose handshake has been forgotten: its first answer ends the link', async () => {
    // Another router with the same keys stands for one that has forgotten the handshake.
    const other = await World.start({
      markers: dialect === 'linkid' ? 'circuit' : 'linkid',
      settings: { SPANMESH_KEYS_DIR: keys.path },
    });
    try {
      const side = new CryptSide(crypt());
      const recorded: Buffer[] = [];
      const first = await world.live(dialect, { localAddress: SEALED, crypt: side });
      const write = first.raw.socket.write.bind(first.raw.socket);
      first.raw.socket.write = ((bytes: Buffer) => {
        recorded.push(bytes);
        return write(bytes);
      }) as typeof write;
      await first.openConn({ label: 'first' });
      await until(
        () => first.routerConn !== null,
        () => "the router's LNK_CONN",
      );
      first.openSpan({ nodeLabel: 'dead' });
      await first.barrier();
      const replayed = await other.raw(dialect, { localAddress: SEALED });
      replayed.socket.removeAllListeners('data');
      const wireAgain = new Wire(replayed.socket);
      replayed.socket.write(Buffer.concat([side.handshake, ...recorded]));
      await wireAgain.ended;
      const closed = await other.metrics();
      expect(closed.get('spanmesh_gateway_handshakes_total')).toBe(1);
      expect(closed.get('spanmesh_gateway_protocol_errors_total{error="TRANS"}')).toBe(1);
      await other.clear();
    } finally {
      await other.stop();
    }
  });

  it('our own handshake sent back: refused', async () => {
    // Our own key as the peer's: an operator may have put it there by mistake.
    keys.write('remote/127.0.0.8.pub', keys.router.pub);
    await until(
      async () => {
        const peer = await wire('127.0.0.8');
        const came = await Promise.race([once(peer.socket, 'data').then(() => true), peer.ended.then(() => false)]);
        peer.socket.destroy();
        return came;
      },
      () => 'the key is taken over',
    );
    const before = await failed('KEYXCHGFAIL');
    const mirror = await wire('127.0.0.8');
    mirror.socket.on('data', (chunk) => mirror.socket.write(chunk));
    await mirror.ended;
    expect(await failed('KEYXCHGFAIL')).toBe(before + 1);
  });

  it('chunk-with-bad-tag: the link is dropped with MACFAIL, and nothing else is affected', async () => {
    const macfails = async () =>
      (await world.metrics()).get('spanmesh_gateway_protocol_errors_total{error="MACFAIL"}') ?? 0;
    const before = await macfails();
    const other = await plain();
    await other.openConn({ label: 'other' });
    for (const bit of [0, 8 * 64 - 1, 8 * 64, 8 * 80 - 1]) {
      const peer = await sealed();
      await peer.openConn({ label: 'peer' });
      peer.openSpan({ nodeLabel: 'mine' });
      await other.relay(({ nodeLabel }) => nodeLabel === 'mine');
      const chunk = peer.raw.crypt!.seal(Buffer.alloc(64));
      chunk[bit >> 3]! ^= 1 << (bit & 7);
      peer.raw.socket.write(chunk);
      await peer.raw.untilEnded();
      await other.relayGone(({ nodeLabel }) => nodeLabel === 'mine');
    }
    expect(await macfails()).toBe(before + 4);
    await world.settled(other);
    expect(other.relays()).toEqual([]);
  });

  it('a chunk left out, or sent twice, is MACFAIL too', async () => {
    for (const twice of [false, true]) {
      const peer = await sealed();
      await peer.openConn({ label: 'peer' });
      const message = encode(dialect, { cmd: 0x00000001 }, peer.raw.nextSalt());
      const [first, second] = [peer.raw.crypt!.seal(message), peer.raw.crypt!.seal(message)];
      peer.raw.socket.write(twice ? Buffer.concat([first, first]) : second);
      await peer.raw.untilEnded();
    }
  });

  it('500 half-open handshakes are closed when their time is over, and others are served meanwhile', async () => {
    const before = await failed('timeout');
    const half: Wire[] = [];
    for (let batch = 0; batch < 10; batch++) {
      half.push(...(await Promise.all(Array.from({ length: 50 }, () => wire(SEALED)))));
    }
    for (const [n, { socket }] of half.entries()) if (n % 2 === 0) socket.write(randomBytes(n));
    await expectRelayed(
      await world.live(dialect, { localAddress: BY_PREFIX, crypt: crypt() }),
      await plain(),
      await world.live(dialect, { localAddress: '127.0.1.8', crypt: crypt() }),
    );
    await Promise.all(half.map(({ ended }) => ended));
    for (const { socket } of half) socket.destroy();
    expect(await failed('timeout')).toBe(before + 500);
    const newcomer = await sealed();
    await newcomer.openConn({ label: 'newcomer' });
    await newcomer.relay(({ nodeLabel }) => nodeLabel === 'n1');
  });

  it('changes of keys apply to new connections; established ones stay', async () => {
    const address = '127.0.0.9';
    const own = () => world.live(dialect, { localAddress: address, crypt: crypt() });
    // The file is a symbolic link, as in a mounted Secret.
    writeFileSync(join(keys.path, '..one'), keys.peer.pub);
    symlinkSync('../..one', join(keys.path, 'remote', `${address}.pub`));
    let peer!: LivePeer;
    await until(
      async () => {
        peer = await own();
        return Promise.race([
          peer.openConn({ label: 'late' }).then(() => true),
          peer.raw.ended.then(() => false),
        ]).catch(() => false);
      },
      () => 'the new key is taken over',
    );
    rmSync(join(keys.path, 'remote', `${address}.pub`));
    await until(
      async () => {
        const { ended, socket, ...rest } = await wire(address);
        const said = await Promise.race([
          once(socket, 'data').then(
            () => true,
            () => false,
          ),
          ended.then(() => rest.bytes > 0),
        ]);
        socket.destroy();
        return !said;
      },
      () => 'the key is gone',
    );
    await peer.barrier();
    expect(peer.raw.isEnded).toBe(false);
  });
});
