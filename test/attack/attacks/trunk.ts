import { PEER, parseSpan, testUuid } from '../../peer/payloads.ts';
import { BLK_OPEN, CREATE, DELETE, LNK_SPAN, type Message, REPLY, REVCIRC } from '../../peer/wire.ts';
import type { Attack } from '../attack.ts';
import type { Attacker, HostilePeer } from '../attacker.ts';
import { OVER_TRUNK } from '../honest-type.ts';

/** What the honest owner sends back as it came. */
const ASKED = 0x00500302;
/** Receivers of his own that read nothing: each has a window on the trunk. */
const RECEIVERS = 2;
const receiver = (n: number) => testUuid(0x66e00000 + n);

/** The node of a span that is relayed; null: the message opens none. */
function nodeOf({ cmd, body }: Message): string | null {
  const isOpening = (cmd & 0xffffff) === LNK_SPAN && (cmd & (CREATE | REPLY)) >>> 0 === CREATE;
  return isOpening ? parseSpan('circuit', body).node : null;
}

/** A peer of his on the other gateway, and its relays of these nodes, all of which are on the first one. */
async function there(attacker: Attacker, nodes: readonly string[], peerType: number) {
  const relays: bigint[] = [];
  const all = Promise.withResolvers<void>();
  const peer = await attacker.peer('circuit', {
    isThere: true,
    conn: { label: 'there', peerMask: 1n << BigInt(peerType) },
    hear: (message) => {
      if (nodes.includes(nodeOf(message) ?? '') && relays.push(message.msgid) === nodes.length) all.resolve();
    },
  });
  if (peer === null) return null;
  await Promise.race([all.promise, attacker.hold()]);
  return { peer, relays };
}

function opening(peer: HostilePeer, circuit: bigint, aux?: Buffer) {
  return {
    cmd: BLK_OPEN | CREATE | REVCIRC,
    msgid: peer.newId(),
    circuit,
    body: Buffer.alloc(64),
    ...(aux && { aux }),
  };
}

/** Across two gateways. */
export const TRUNK_ATTACKS: readonly Attack[] = [
  {
    name: 'trunk-transactions-left',
    about: 'transactions with an honest owner on another gateway that are opened and left, more than he may have',
    stop: { kind: 'refused', says: 'transaction-limit' },
    run: async (attacker) => {
      const by = await there(attacker, [attacker.target.owners.overTrunk], OVER_TRUNK.peerType);
      const [relay] = by?.relays ?? [];
      if (by === null || relay === undefined) return;
      await attacker.pace(attacker.load(150, 2_000), () =>
        by.peer.sendAll(Array.from({ length: 10 }, () => opening(by.peer, relay))),
      );
    },
  },
  {
    name: 'trunk-transactions-flood',
    about: 'transactions with an honest owner on another gateway that are opened and ended, 2,000 a second',
    stop: {
      kind: 'absorbed',
      because:
        'each is the owner’s to answer, as any is; on the trunk it is charged to the window of its own connection',
    },
    run: async (attacker) => {
      const by = await there(attacker, [attacker.target.owners.overTrunk], OVER_TRUNK.peerType);
      const [relay] = by?.relays ?? [];
      if (by === null || relay === undefined) return;
      const { peer } = by;
      const ended = () => ({ ...opening(peer, relay), cmd: (ASKED | CREATE | DELETE | REVCIRC) >>> 0 });
      await attacker.pace(200, () => peer.sendAll(Array.from({ length: 10 }, ended)));
    },
  },
  {
    name: 'trunk-windows',
    about: 'blocks over the trunk for receivers of his own that read nothing: their windows are full',
    stop: { kind: 'refused', says: 'stalled' },
    run: async (attacker) => {
      const nodes = Array.from({ length: RECEIVERS }, (_, n) => receiver(n));
      for (const node of nodes) {
        const owner = await attacker.peer('circuit', { deaf: true, conn: { peerMask: 0n, label: `stuck ${node}` } });
        if (owner !== null) await owner.sendAll([owner.span({ node, peerType: PEER.BLOCK })]);
      }
      const by = await there(attacker, nodes, PEER.BLOCK);
      if (by === null) return;
      const aux = Buffer.alloc(65_536);
      await attacker.pace(attacker.load(300, 600), () => {
        const relay = by.relays[attacker.tried % by.relays.length];
        return relay === undefined ? undefined : by.peer.sendAll([opening(by.peer, relay, aux)]);
      });
    },
  },
  {
    name: 'trunk-unread-answers',
    about: 'transactions with an honest owner on another gateway, whose answers he does not read',
    stop: {
      kind: 'absorbed',
      because: 'what waits for him waits in his own window and queue; in the short form the kernel takes all of it',
    },
    run: async (attacker) => {
      const by = await there(attacker, [attacker.target.owners.overTrunk], OVER_TRUNK.peerType);
      const [relay] = by?.relays ?? [];
      if (by === null || relay === undefined) return;
      const { peer } = by;
      peer.socket.pause();
      const ended = () => ({ ...opening(peer, relay), cmd: (ASKED | CREATE | DELETE | REVCIRC) >>> 0 });
      await attacker.pace(200, () => peer.sendAll(Array.from({ length: 10 }, ended)));
    },
  },
  {
    name: 'trunk-hoard',
    about: 'connections to the port of other gateways that say nothing, more than are waited for',
    stop: { kind: 'limited', resource: 'trunk connections without a token' },
    run: (attacker) => attacker.pace(200, () => void attacker.connect({ port: attacker.target.trunk })),
  },
];
