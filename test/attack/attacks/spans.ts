import { PEER, testUuid } from '../../peer/payloads.ts';
import { CREATE, DELETE, type Dialect, LNK_ERROR, LNK_SPAN, REPLY, REVTRANS } from '../../peer/wire.ts';
import type { Attack } from '../attack.ts';

/** Spans in one write. */
const BATCH = 50;
const LONG_LABEL = 'l'.repeat(127);

/** Ids of the attacker's nodes, different from those of others. */
const nodeId = (n: number) => testUuid(0x66000000 + n);

function closing(dialect: Dialect, msgid: bigint) {
  const flags = dialect === 'circuit' ? DELETE | REPLY | REVTRANS : CREATE | DELETE | REPLY;
  return { cmd: flags | LNK_ERROR, msgid };
}

/** Attacks with LNK_CONNs, LNK_SPANs and relays. */
export const SPAN_ATTACKS: readonly Attack[] = [
  {
    name: 'many-spans',
    about: 'three connections with as many spans each as they may have, all of different nodes',
    stop: { kind: 'limited', resource: 'LNK_SPANs of a connection' },
    run: async (attacker) => {
      const each = attacker.load(2_500, 110_000);
      const fill = async (c: number) => {
        const peer = await attacker.peer('linkid', { conn: { peerMask: 0n, label: `many ${c}` } });
        for (let n = 0; n < each && !attacker.over; n += BATCH) {
          attacker.tried += BATCH;
          const node = (i: number) => nodeId(c * each + n + i);
          const spans = Array.from({ length: BATCH }, (_, i) =>
            peer!.span({ node: node(i), cluster: node(i), nodeLabel: LONG_LABEL }),
          );
          await peer?.sendAll(spans);
          await attacker.pause(1);
        }
      };
      await Promise.all([0, 1, 2].map(fill));
      await attacker.hold();
    },
  },
  {
    name: 'relays-without-total',
    about: 'a connection with many LNK_CONNs takes every span of another one: relays are the product',
    stop: { kind: 'limited', resource: 'relays offered' },
    run: async (attacker) => {
      const taker = await attacker.peer('linkid', { conn: { label: 'taker' } });
      for (let n = 1; n < attacker.load(16, 64); n++) taker?.openConn({ media: nodeId(n), label: `taker ${n}` });
      const giver = await attacker.peer('linkid', { conn: { peerMask: 0n, label: 'giver' } });
      await attacker.pace(attacker.load(500, 10_000), async () => {
        const node = nodeId(attacker.tried);
        await giver?.sendAll([giver.span({ node, cluster: node, peerType: PEER.HAMMER2 })]);
      });
    },
  },
  {
    name: 'span-flap',
    about: 'a span that is opened and closed 300 times a second',
    stop: {
      kind: 'absorbed',
      because: 'a change is one of its connection, taken in turns with those of others; nothing is held',
    },
    run: async (attacker) => {
      const peer = await attacker.peer('circuit', { conn: { peerMask: 0n, label: 'flap' } });
      await attacker.pace(300, async () => {
        if (peer === null) return;
        const span = peer.span({ node: nodeId(1), peerType: PEER.BLOCK, nodeLabel: 'flap' });
        await peer.sendAll([span, { cmd: DELETE | LNK_ERROR, msgid: span.msgid }]);
      });
    },
  },
  {
    name: 'span-flap-of-an-honest-node',
    about: 'links of a node that an honest peer has, with better and worse dist, 200 times a second',
    stop: { kind: 'absorbed', because: 'a node has one cheap selection for each LNK_CONN; nothing is held' },
    run: async (attacker) => {
      const peer = await attacker.peer('circuit', { conn: { peerMask: 0n, label: 'impostor' } });
      await attacker.pace(200, async () => {
        if (peer === null) return;
        const span = peer.span({ node: nodeId(2), peerType: PEER.BLOCK, dist: attacker.tried % 8 });
        await peer.sendAll([span, { cmd: DELETE | LNK_ERROR, msgid: span.msgid }]);
      });
    },
  },
  {
    name: 'status-flood',
    about: 'a status message on an open span, 1,000 a second',
    stop: {
      kind: 'absorbed',
      because: 'a status is one message of its connection, replaces the one before, and is not relayed',
    },
    run: async (attacker) => {
      const peer = await attacker.peer('linkid', { conn: { peerMask: 0n, label: 'status' } });
      const span = peer?.span({ node: nodeId(3), cluster: nodeId(3), peerType: PEER.HAMMER2 });
      if (!span || !peer) return;
      await peer.sendAll([span]);
      const { msgid, body } = span;
      await attacker.pace(1_000, () => peer.sendAll([{ cmd: LNK_SPAN, msgid, ...(body && { body }) }]));
    },
  },
  {
    name: 'huge-labels',
    about: 'spans and LNK_CONNs whose labels are as long as can be, each another one, of control characters',
    stop: {
      kind: 'absorbed',
      because:
        'labels are bounded by their message, are labels of no metric, and are shown with control characters replaced',
    },
    run: async (attacker) => {
      const peer = await attacker.peer('circuit', { conn: { peerMask: 0n, label: '\x1b\x9b'.repeat(63) } });
      await attacker.pace(300, async () => {
        const label = `${attacker.tried}\x1b[2J\x9b${'\n'.repeat(100)}`;
        const span = peer?.span({
          node: nodeId(attacker.tried),
          peerType: PEER.BLOCK,
          nodeLabel: label,
          clusterLabel: label,
        });
        if (span) await peer?.sendAll([span, { cmd: DELETE | LNK_ERROR, msgid: span.msgid }]);
      });
    },
  },
  {
    name: 'refusing-relays',
    about: 'a peer that refuses every relay as soon as it comes, and opens its LNK_CONN anew',
    stop: {
      kind: 'absorbed',
      because: 'a refused relay is not opened again for the same LNK_CONN: it costs him his own spans',
    },
    run: async (attacker) => {
      const peer = await attacker.peer('linkid', {
        conn: { label: 'refuser' },
        hear: ({ cmd, msgid }, from) => {
          const isSpan = (cmd & 0xffffff) === LNK_SPAN && (cmd & REPLY) === 0 && (cmd & CREATE) !== 0;
          if (isSpan) from.send(closing('linkid', msgid));
        },
      });
      await attacker.pace(50, async () => {
        const conn = peer?.openConn({ label: `refuser ${attacker.tried}` });
        await attacker.pause(10);
        if (conn !== undefined) peer?.send({ cmd: DELETE | LNK_ERROR, msgid: conn });
      });
    },
  },
  {
    name: 'lnk-conn-hoard',
    about: 'LNK_CONNs on one connection, more than it may have',
    stop: { kind: 'limited', resource: 'LNK_CONNs of a connection' },
    run: async (attacker) => {
      const peer = await attacker.peer('linkid', { conn: { label: 'conns' } });
      await attacker.pace(200, () =>
        peer?.openConn({ media: nodeId(attacker.tried), label: `conns ${attacker.tried}` }),
      );
    },
  },
  {
    name: 'lnk-conn-flood',
    about: 'LNK_CONNs that are opened and closed, 200 a second, each of which asks for every span',
    stop: {
      kind: 'absorbed',
      because: 'a LNK_CONN that is gone again costs its selection, in slices between which others have their turns',
    },
    run: async (attacker) => {
      const peer = await attacker.peer('linkid', { conn: { label: 'conn flood' } });
      await attacker.pace(200, async () => {
        const msgid = peer?.openConn({ label: `flood ${attacker.tried}` });
        if (msgid !== undefined) await peer?.sendAll([{ cmd: DELETE | LNK_ERROR, msgid }]);
      });
    },
  },
  {
    name: 'non-readers',
    about: 'connections that ask for every span and read nothing, while another one opens and closes spans',
    stop: { kind: 'limited', resource: 'relays offered' },
    run: async (attacker) => {
      const deaf = Array.from({ length: attacker.load(30, 900) }, (_, n) =>
        attacker.peer('circuit', { deaf: true, conn: { label: `deaf ${n}` } }),
      );
      await Promise.all(deaf);
      const giver = await attacker.peer('circuit', { conn: { peerMask: 0n, label: 'feeder' } });
      await attacker.pace(attacker.load(200, 2_000), async () => {
        const span = giver?.span({ node: nodeId(attacker.tried), peerType: PEER.BLOCK, nodeLabel: LONG_LABEL });
        if (span) await giver?.sendAll([span]);
      });
    },
  },
];
