import { once } from 'node:events';
import { encodeVolconf, LNK_VOLCONF_BYTES } from '@spanmesh/dmsg/payload/lnk-volconf';
import { afterEach, describe, expect, it } from 'vitest';
import { loadCapture } from '../peer/capture.ts';
import { LivePeer } from '../peer/live-peer.ts';
import { NIL_UUID, testUuid } from '../peer/payloads.ts';
import { RawPeer } from '../peer/raw-peer.ts';
import { Replay } from '../peer/replay.ts';
import { DialledHost, VolconfWorld } from '../peer/volconf-world.ts';
import {
  CREATE,
  DELETE,
  type Dialect,
  LNK_CONN,
  LNK_ERROR,
  LNK_VOLCONF,
  type Message,
  REPLY,
  REVTRANS,
} from '../peer/wire.ts';

let world: VolconfWorld;
const hosts: DialledHost[] = [];
const peers: RawPeer[] = [];

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.destroy();
  for (const host of hosts.splice(0)) host.stop();
  await world.stop();
});

async function listening(host: string, dialect: Dialect, port = 0): Promise<DialledHost> {
  const made = await new DialledHost(host, port, dialect).listen();
  hosts.push(made);
  return made;
}

/** A port of `host` that was free a moment ago. */
async function freePort(host: string): Promise<number> {
  const probe = await new DialledHost(host, 0, 'linkid').listen();
  await probe.refuse();
  return probe.port;
}

/** Answers the router's LNK_CONN, and takes its other messages, as a working host does. */
function answering(raw: RawPeer): LivePeer {
  return LivePeer.over(raw);
}

describe('recorded sessions in which a VOLCONF makes the router dial', () => {
  it.each([
    'v1-4-volconf',
    'v1-4b-volconf-conn-close',
    'v1-4c-volconf-retry',
    'v2-4-volconf',
    'v2-4b-volconf-conn-close',
  ])('%s', async (name) => {
    const capture = loadCapture(name);
    const { dialect } = capture;
    // 4c: nobody listens until the moment at which the recorded daemon got through.
    const isLate = name.includes('retry');
    const port = await freePort('127.0.0.2');
    world = await VolconfWorld.start({
      markers: dialect === 'linkid' ? 'circuit' : 'linkid',
      env: { SPANMESH_VOLCONF_PORT: String(port) },
    });
    let host = isLate ? null : await listening('127.0.0.2', dialect, port);
    /** The end of A's LNK_CONN, which the circuit reference never sends (captures/README.md). */
    const ends: Message[] = [];
    const lnkConn = capture.entries.find(
      (entry) => entry.kind === 'message' && entry.fromClient && entry.msg === 'LNK_CONN',
    );
    const lnkConnId = lnkConn?.kind === 'message' ? lnkConn.bytes.readBigUInt64LE(8) : 0n;
    const replay = new Replay(capture, {
      connect: async (conn) => {
        if (conn === 'L') {
          host ??= await listening('127.0.0.2', dialect, port);
          return host.next();
        }
        const peer = await RawPeer.connect({
          port: world.port(dialect),
          dialect,
          localAddress: `127.0.0.${10 + conn.charCodeAt(0) - 65}`,
          name: conn,
        });
        peers.push(peer);
        if (dialect === 'circuit') {
          peer.intercept = (message) => {
            const isEnd = message.msgid === lnkConnId && message.cmd === (DELETE | REPLY | REVTRANS | LNK_ERROR) >>> 0;
            if (isEnd) ends.push(message);
            return isEnd;
          };
        }
        return peer;
      },
      // In 4b the router ends L by itself, at some time: L cannot be asked for a barrier.
      settled: (open) => world.settled(name.includes('4b') ? open.filter((peer) => peer !== host?.peers[0]) : open),
      // The router closes the connection to the target of a slot that is cleared or whose media is gone (protocol.md,
      // "The link layer" 3).
      oursFor: (_step, conn, entry) => (conn === 'L' && entry === 'event' && !isLate ? 'closes' : 'as recorded'),
    });
    await replay.run();
    if (dialect === 'circuit') {
      await world.settled([]);
      expect(ends.length).toBe(1);
    }
    if (isLate) {
      // protocol.md, "The link layer" 3: the reference does not dial again after a loss; our router does.
      const again = await host!.next();
      await again.expectCmd(CREATE | LNK_CONN[dialect]);
    } else {
      expect(host!.open).toBe(0);
      expect(host!.peers.length).toBe(1);
    }
  });
});

/** A mount: a peer with an open LNK_CONN that writes slots of its volume. */
class Volume {
  readonly peer: LivePeer;
  readonly #conn: bigint;

  private constructor(peer: LivePeer, conn: bigint) {
    this.peer = peer;
    this.#conn = conn;
  }

  static async mount(dialect: Dialect): Promise<Volume> {
    const peer = await LivePeer.connect({ port: world.port(dialect), dialect, localAddress: '127.0.0.10' });
    peers.push(peer.raw);
    return new Volume(peer, await peer.openConn({ media: testUuid(7) }));
  }

  write(index: number, path: string, copyId = 1): void {
    const body = Buffer.alloc(LNK_VOLCONF_BYTES);
    const zero = { inprog: 0, chainTo: 0, chainFrom: 0, flags: 0, error: 0, priority: 0, remotePfsType: 0 };
    encodeVolconf({ index, mediaId: NIL_UUID, copy: { ...zero, copyId, pfsClid: NIL_UUID, label: '', path } }, body, 0);
    this.peer.raw.send({ cmd: LNK_VOLCONF, msgid: this.#conn, body });
  }

  unmount(): Promise<void> {
    return this.peer.close(this.#conn);
  }
}

describe('a volconf target', () => {
  it.each(['linkid', 'circuit'] as Dialect[])('is spoken to in the dialect of its LNK_CONN, %s', async (dialect) => {
    world = await VolconfWorld.start({ markers: dialect === 'linkid' ? 'circuit' : 'linkid' });
    const host = await listening('127.0.0.2', dialect);
    const volume = await Volume.mount(dialect);
    volume.write(0, `span:127.0.0.2:${host.port}`);
    const far = answering(await host.next());
    await far.openConn();
    far.openSpan({ node: testUuid(1) });
    await volume.peer.relay((span) => span.node === testUuid(1));
    await volume.unmount();
    await far.raw.untilEnded();
  });

  it('is connected when it becomes reachable, and again after a loss', async () => {
    world = await VolconfWorld.start();
    const port = await freePort('127.0.0.2');
    const volume = await Volume.mount('linkid');
    volume.write(0, `span:127.0.0.2:${port}`);
    const name = `media ${testUuid(7)}/slot 0`;
    await failing(name, /nobody answers there \(ECONNREFUSED\)/);
    const host = await listening('127.0.0.2', 'linkid', port);
    answering(await host.next()).raw.reset();
    answering(await host.next());
    expect(host.open).toBe(1);
  });

  it('is given up and tried again when it accepts connections and never answers LNK_CONN', async () => {
    world = await VolconfWorld.start({ env: { SPANMESH_VOLCONF_ANSWER_TIMEOUT: '100ms' } });
    const host = await listening('127.0.0.2', 'linkid');
    const volume = await Volume.mount('linkid');
    volume.write(0, `span:127.0.0.2:${host.port}`);
    const mute = await host.next();
    await mute.untilEnded();
    await failing(`media ${testUuid(7)}/slot 0`, /did not answer our LNK_CONN/);
    const again = answering(await host.next());
    await again.openConn();
    expect(host.open).toBe(1);
  });

  it('has its name looked up at each attempt: it may have moved, or have several addresses', async () => {
    world = await VolconfWorld.start();
    const port = await freePort('127.0.0.2');
    const volume = await Volume.mount('linkid');
    volume.write(0, `span:far.example:${port}`);
    await failing(`media ${testUuid(7)}/slot 0`, /the name has no address \(ENOTFOUND\)/);
    const old = await listening('127.0.0.2', 'linkid', port);
    world.names.set('far.example', ['127.0.0.2']);
    const first = answering(await old.next());
    // The target moves. The name keeps the old address for a while, where nobody answers any more.
    const moved = await listening('127.0.0.3', 'linkid', port);
    await old.refuse();
    world.names.set('far.example', ['127.0.0.2', '127.0.0.3']);
    first.raw.reset();
    answering(await moved.next());
    expect(moved.open).toBe(1);
  });

  it('is left for another one when its slot changes', async () => {
    world = await VolconfWorld.start();
    const [one, other] = [await listening('127.0.0.2', 'linkid'), await listening('127.0.0.3', 'linkid')];
    const volume = await Volume.mount('linkid');
    volume.write(0, `span:127.0.0.2:${one.port}`);
    const first = answering(await one.next());
    volume.write(0, `span:127.0.0.3:${other.port}`);
    await first.raw.untilEnded();
    answering(await other.next());
    volume.write(0, `span:127.0.0.3:${other.port}`, 0);
    await other.peers[0]!.untilEnded();
    expect([one.peers.length, other.peers.length]).toEqual([1, 1]);
  });
});

/** Resolves when the target has failed with a matching error. */
async function failing(owner: string, why: RegExp): Promise<void> {
  for (;;) {
    const target = world.volconf.term?.reconciler.get(owner);
    if (target !== undefined && why.test(target.lastError)) return;
    await once(world.events, 'change');
  }
}
