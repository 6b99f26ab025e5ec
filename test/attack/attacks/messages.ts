import { PEER, parseSpan, testUuid } from '../../peer/payloads.ts';
import {
  BLK_OPEN,
  CREATE,
  DBG_SHELL,
  DELETE,
  type Dialect,
  encode,
  LNK_PAD,
  LNK_PING,
  LNK_SPAN,
  REPLY,
  REVCIRC,
  textAux,
  UNKNOWN_LNK,
} from '../../peer/wire.ts';
import type { Attack } from '../attack.ts';
import type { Attacker } from '../attacker.ts';
import { HONEST_TYPE } from '../honest-type.ts';

/** The first message of a connection, with `auxBytes` bytes of aux data, without its last 64 bytes. */
function halfMessage(auxBytes: number): Buffer {
  const whole = encode('circuit', { cmd: LNK_PAD, aux: Buffer.alloc(auxBytes) }, 0xabcdef00);
  return whole.subarray(0, whole.length - 64);
}

/** A peer of the attacker with a span of its own, and the relay of the honest owner's span in its dialect. */
async function beside(attacker: Attacker, dialect: Dialect) {
  const wanted = attacker.target.owners[dialect];
  const found = Promise.withResolvers<bigint>();
  const peer = await attacker.peer(dialect, {
    conn: { label: 'beside', peerMask: 1n << BigInt(HONEST_TYPE[dialect]) },
    hear: ({ cmd, msgid, body }) => {
      const isOpening = (cmd & 0xffffff) === LNK_SPAN && (cmd & (CREATE | REPLY)) >>> 0 === CREATE;
      if (isOpening && parseSpan(dialect, body).node === wanted) found.resolve(msgid);
    },
  });
  if (peer === null) return null;
  const own = peer.span({ node: testUuid(0x66f00000), peerType: PEER.BLOCK });
  await peer.sendAll([own]);
  void attacker.hold().then(() => found.resolve(0n));
  const relay = await found.promise;
  const where = dialect === 'circuit' ? { circuit: relay } : { circuit: own.msgid, target: relay };
  return { peer, where, rev: dialect === 'circuit' ? REVCIRC : 0 };
}

/** Attacks by messages on established connections. */
export const MESSAGE_ATTACKS: readonly Attack[] = [
  {
    name: 'half-messages',
    about: 'connections that each leave a message of 1 MiB unfinished',
    stop: { kind: 'limited', resource: 'received bytes' },
    run: (attacker) => {
      const half = halfMessage(1 << 20);
      return attacker.pace(attacker.load(60, 400), async () => {
        (await attacker.peer('circuit', { conn: null }))?.socket.write(half);
      });
    },
  },
  {
    name: 'trickled-messages',
    about: 'connections that send a message a byte at a time',
    stop: { kind: 'refused', says: 'message-timeout' },
    run: async (attacker) => {
      const half = halfMessage(4096);
      const peers = await Promise.all(Array.from({ length: 40 }, () => attacker.peer('circuit', { conn: null })));
      let sent = 0;
      await attacker.pace(20, () => {
        const byte = half.subarray(sent, ++sent);
        for (const peer of peers) if (peer?.socket.writable) peer.socket.write(byte);
      });
    },
  },
  {
    name: 'held-before-the-dialect',
    about: 'up to 64 KiB each before the LNK_CONN, at the listener that waits for it',
    stop: { kind: 'refused', says: 'protocol-error' },
    run: (attacker) =>
      attacker.pace(100, async () => {
        const socket = await attacker.connect({ port: attacker.target.any });
        socket?.write(Buffer.alloc(60 * 1024, 0x48));
      }),
  },
  {
    name: 'broken-messages',
    about: 'messages with a wrong CRC, each on a new connection',
    stop: { kind: 'refused', says: 'protocol-error' },
    run: (attacker) =>
      attacker.pace(50, async () => {
        const peer = await attacker.peer('linkid', { conn: {} });
        const bytes = peer?.bytes({ cmd: LNK_PING });
        if (bytes) peer?.socket.write(bytes.fill(0xff, 60));
      }),
  },
  {
    name: 'ping-flood',
    about: 'PINGs, 3,000 a second',
    stop: {
      kind: 'absorbed',
      because: 'a PING is answered in the turn of its connection, principals taking turns: it costs him his own',
    },
    run: async (attacker) => {
      const peer = await attacker.peer('circuit', { conn: { peerMask: 0n } });
      await attacker.pace(300, () => peer?.sendAll(Array.from({ length: 10 }, () => ({ cmd: LNK_PING }))));
    },
  },
  {
    name: 'unread-answers',
    about: 'commands whose answers are not read',
    stop: {
      kind: 'absorbed',
      because: 'what waits for him is bounded, and while it is much he is not read: it costs him his own answers',
    },
    run: async (attacker) => {
      const peer = await attacker.peer('circuit', { deaf: true, conn: { peerMask: 0n } });
      await attacker.pace(200, () => peer?.send({ cmd: DBG_SHELL, aux: textAux('help') }));
    },
  },
  {
    name: 'unknown-commands',
    about: 'transactions of commands that nobody knows, 1,000 a second',
    stop: {
      kind: 'absorbed',
      because: 'each is answered NOSUPP in the turn of its connection, and leaves nothing',
    },
    run: async (attacker) => {
      const peer = await attacker.peer('linkid', { conn: { peerMask: 0n } });
      await attacker.pace(1_000, () => peer?.sendAll([{ cmd: UNKNOWN_LNK | CREATE | DELETE, msgid: peer.newId() }]));
    },
  },
  {
    name: 'transactions-left',
    about: 'transactions with an honest owner that are opened and left, more than a connection may have',
    stop: { kind: 'refused', says: 'transaction-limit' },
    run: async (attacker) => {
      const by = await beside(attacker, 'circuit');
      if (by === null) return;
      const { peer, where, rev } = by;
      await attacker.pace(attacker.load(150, 2_000), () => {
        // A burst of ten at once.
        const opening = () => ({ cmd: BLK_OPEN | CREATE | rev, msgid: peer.newId(), body: Buffer.alloc(64), ...where });
        return peer.sendAll(Array.from({ length: 10 }, opening));
      });
    },
  },
  {
    name: 'doubled-transactions',
    about: 'one msgid opened twice, each time on a new connection',
    stop: { kind: 'refused', says: 'protocol-error' },
    run: (attacker) =>
      attacker.pace(50, async () => {
        const peer = await attacker.peer('circuit', { conn: { peerMask: 0n } });
        const span = peer?.span({ node: testUuid(0x66f00001) });
        if (span) await peer?.sendAll([span, span]);
      }),
  },
  {
    name: 'deep-stacks',
    about: 'transactions on transactions on transactions, deeper than they may be',
    stop: { kind: 'limited', resource: 'stacked transactions' },
    run: async (attacker) => {
      const by = await beside(attacker, 'circuit');
      if (by === null) return;
      const { peer, where, rev } = by;
      await attacker.pace(10, async () => {
        // On the relay first, which is the gateway's, and then each on the one before, which is his own.
        const stack = [{ cmd: BLK_OPEN | CREATE | rev, msgid: peer.newId(), ...where, body: Buffer.alloc(64) }];
        for (let depth = 1; depth < 20; depth++) {
          const circuit = stack.at(-1)?.msgid ?? 0n;
          stack.push({ cmd: BLK_OPEN | CREATE, msgid: peer.newId(), circuit, body: Buffer.alloc(64) });
        }
        await peer.sendAll(stack);
      });
    },
  },
  {
    name: 'big-blocks',
    about: 'messages of 64 KiB to an honest owner, 2 MiB a second',
    stop: {
      kind: 'absorbed',
      because:
        'the owner reads them as fast as they come; if it did not, its senders would wait one by one, and nobody else',
    },
    run: async (attacker) => {
      const by = await beside(attacker, 'linkid');
      if (by === null) return;
      const { peer, where } = by;
      const aux = Buffer.alloc(65_536);
      await attacker.pace(attacker.load(30, 200), () => peer.sendAll([{ cmd: BLK_OPEN, aux, ...where }]));
    },
  },
  {
    name: 'stuck-receiver',
    about: 'blocks for a receiver of his own that reads nothing',
    stop: { kind: 'refused', says: 'stalled' },
    run: async (attacker) => {
      const owner = await attacker.peer('linkid', { deaf: true, conn: { peerMask: 0n, label: 'stuck' } });
      const span = owner?.span({ node: testUuid(0x66f00002), cluster: testUuid(0x66f00002), peerType: PEER.HAMMER2 });
      if (!owner || !span) return;
      await owner.sendAll([span]);
      const relay = Promise.withResolvers<bigint>();
      const sender = await attacker.peer('linkid', {
        conn: { label: 'sender' },
        hear: ({ cmd, msgid, body }) => {
          const isOpening = (cmd & 0xffffff) === LNK_SPAN && (cmd & (CREATE | REPLY)) >>> 0 === CREATE;
          if (isOpening && parseSpan('linkid', body).node === testUuid(0x66f00002)) relay.resolve(msgid);
        },
      });
      const source = sender?.span({
        node: testUuid(0x66f00003),
        cluster: testUuid(0x66f00003),
        peerType: PEER.HAMMER2,
      });
      if (!sender || !source) return;
      await sender.sendAll([source]);
      void attacker.hold().then(() => relay.resolve(0n));
      const where = { circuit: source.msgid, target: await relay.promise };
      await attacker.pace(150, () => {
        void sender.sendAll([{ cmd: BLK_OPEN, aux: Buffer.alloc(65_536), ...where }]);
      });
    },
  },
  {
    name: 'shell-floods',
    about: 'the shell’s tree, again and again, without reading it',
    stop: {
      kind: 'absorbed',
      because: 'what waits for him is bounded, and while it is much he is not read: it costs him his own answers',
    },
    run: async (attacker) => {
      const peer = await attacker.peer('linkid', { deaf: true, conn: { peerMask: 0n } });
      await attacker.pace(400, () => peer?.send({ cmd: DBG_SHELL, aux: textAux('tree') }));
    },
  },
  {
    name: 'shell-read',
    about: 'the shell’s tree on ten connections, again and again, and all of it read',
    stop: {
      kind: 'absorbed',
      because:
        'commands of a connection are done one after the other, no more than so many wait, and principals take turns',
    },
    run: async (attacker) => {
      const peers = await Promise.all(
        Array.from({ length: 10 }, () => attacker.peer('linkid', { conn: { peerMask: 0n } })),
      );
      await attacker.pace(200, () => peers[attacker.tried % 10]?.send({ cmd: DBG_SHELL, aux: textAux('tree') }));
    },
  },
];
