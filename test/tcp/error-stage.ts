import type { HeldRelay, LivePeer } from '../peer/live-peer.ts';
import { connBody, connFields, PEER, spanBody, spanFields, testUuid } from '../peer/payloads.ts';
import type { RawPeer } from '../peer/raw-peer.ts';
import {
  CREATE,
  type Dialect,
  fieldWriter,
  LNK_CONN,
  LNK_ERROR,
  LNK_SPAN,
  padded,
  REPLY,
  REVTRANS,
  sealHeader,
} from '../peer/wire.ts';
import type { World } from '../peer/world.ts';

/** The state of the offender's connection when it offends. */
export type Setup =
  /** LNK_CONN both ways, one span. */
  | 'full'
  /** As `full`, but the router's LNK_CONN is not answered. */
  | 'unacknowledged'
  /** The router's LNK_CONN is answered; no LNK_CONN of X, and no span. */
  | 'bare';

/** Node of the offender's span. */
export const OFFENDER_NODE = testUuid(0x0ffe);
const ID = 0x4b23d8d006760000n;

/** An offender X with an open span, and a bystander Y that holds the relay of X's span, as in the recordings. */
export interface Stage {
  world: World;
  dialect: Dialect;
  x: RawPeer;
  y: LivePeer;
  /** msgids: X's LNK_CONN, X's span, an unused one of X, the router's LNK_CONN to X. */
  conn: bigint;
  span: bigint;
  free: bigint;
  routerConn: bigint;
  /** Y's relay of X's span; null if X has none. */
  relay: HeldRelay | null;
  /** REVTRANS in the dialect that has it, for messages with REPLY. */
  rev: number;
}

/** Connects X and Y, and brings X into the state of the setup. */
export async function setStage(world: World, dialect: Dialect, setup: Setup): Promise<Stage> {
  const rev = dialect === 'circuit' ? REVTRANS : 0;
  const y = await world.live(dialect, { name: 'Y', localAddress: '127.0.0.3' });
  await y.openConn({ label: 'Y' });
  const x = await world.raw(dialect, { name: 'X', localAddress: '127.0.0.2' });
  const { msgid: routerConn } = await x.expectCmd(CREATE | LNK_CONN[dialect]);
  if (setup !== 'unacknowledged') x.send({ cmd: CREATE | REPLY | rev | LNK_ERROR, msgid: routerConn });
  const stage = { world, dialect, x, y, conn: ID + 0x10n, span: ID + 0x20n, free: ID + 0x30n, routerConn, rev };
  if (setup === 'bare') {
    await world.settled(x, y);
    return { ...stage, relay: null };
  }
  x.send({ cmd: CREATE | LNK_CONN[dialect], msgid: stage.conn, body: connBody(dialect, connFields({ label: 'X' })) });
  await x.expectCmd(CREATE | REPLY | rev | LNK_ERROR, stage.conn);
  const fields = spanFields({ cluster: testUuid(0x0c1), node: OFFENDER_NODE, peerType: PEER.BLOCK, nodeLabel: 'x' });
  x.send({ cmd: CREATE | LNK_SPAN, msgid: stage.span, body: spanBody(dialect, fields) });
  if (dialect === 'circuit') await x.expectCmd(CREATE | REPLY | rev | LNK_ERROR, stage.span);
  const relay = await y.relay(({ node }) => node === OFFENDER_NODE, "X's span");
  return { ...stage, relay };
}

/**
 * The first `count` messages of a recorded offence, with the ids and salts of this run and, unless `seal` is false, a
 * new hdr_crc. `sender`: the peer that sends it. `saltStep`: 1 is correct.
 */
export function adaptTemplate(
  stage: Stage,
  sent: Buffer,
  options: { count?: number; sender?: RawPeer; seal?: boolean; saltStep?: number } = {},
): Buffer {
  const { count = 1, sender = stage.x, seal = true, saltStep = 1 } = options;
  const messages: Buffer[] = [];
  let at = 0;
  for (let n = 0; n < count; n++) {
    const bigEndian = sent.readUInt16LE(at) === 0x3248;
    const u32 = (offset: number) => (bigEndian ? sent.readUInt32BE(at + offset) : sent.readUInt32LE(at + offset));
    const u64 = (offset: number) => (bigEndian ? sent.readBigUInt64BE(at + offset) : sent.readBigUInt64LE(at + offset));
    const headerBytes = Math.max(1, u32(32) & 0xff) * 64;
    const auxBytes = stage.dialect === 'linkid' ? u32(40) * 64 : padded(u32(40));
    const raw = Buffer.from(sent.subarray(at, at + headerBytes + auxBytes));
    const put = fieldWriter(raw, bigEndian);
    const counter = sender.nextSalt() + saltStep - 1;
    put.u32(4, ((u32(4) & 0xffffff00) | (counter & 0xff)) >>> 0);
    put.u64(8, idOfThisRun(stage, sender, u64(8)));
    put.u64(16, idOfThisRun(stage, sender, u64(16)));
    if (seal) sealHeader(raw, headerBytes, bigEndian);
    messages.push(raw);
    at += headerBytes + auxBytes;
  }
  return Buffer.concat(messages);
}

/**
 * The id in this run for a recorded id: small ones are made up and stay, 7f.......... are the daemon's, all others the
 * client's by their last digits.
 */
function idOfThisRun(stage: Stage, sender: RawPeer, recorded: bigint): bigint {
  if (recorded < 0x10000n) return recorded;
  if (recorded >> 40n === 0x7fn) return sender === stage.x ? stage.routerConn : stage.relay!.msgid;
  switch (recorded & 0xffffn) {
    case 0x10n:
      return stage.conn;
    case 0x20n:
      return stage.span;
    case 0x30n:
      return stage.free;
    default:
      throw new Error(`whose id is ${recorded.toString(16)}?`);
  }
}
