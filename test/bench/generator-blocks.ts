import { CREATE, DELETE, ERROR, type GeneratorPeer, REPLY, REVCIRC, REVTRANS } from './generator-peer.ts';

const READ = 0x00500302;
const BLK = 0x00500000;
const PROTOCOL = 0x00f00000;
/** linkid: the command of an answer is the request's, with a header of the answer's own size. */
const LINKID_ANSWER = (READ & ~0xff) | 1;

/** The identity of a relay on its receiver's connection: two halves of its msgid. */
export interface RelayName {
  readonly lo: number;
  readonly hi: number;
}

/**
 * Requests a block on a relay, with `aux` bytes of aux data. `ownSpan`: msgid of a span of the sender, which linkid
 * needs as source.
 */
export function askForBlock(peer: GeneratorPeer, id: number, relay: RelayName, ownSpan: number, aux = 0): void {
  const cmd = READ | CREATE | DELETE;
  if (peer.dialect === 'linkid') peer.send(cmd, id >>> 0, 0, ownSpan, 0, relay.lo, null, aux, relay.hi);
  else peer.send(cmd | REVCIRC, id >>> 0, 0, relay.lo, relay.hi, 0, null, aux);
}

/** Whether this is a request of askForBlock, as the owner of the span receives it. */
export function asksForBlock(cmd: number): boolean {
  return (cmd & PROTOCOL) === BLK && (cmd & (CREATE | REPLY)) >> 0 === CREATE >> 0;
}

/** Answers a request of askForBlock. */
export function answerBlock(peer: GeneratorPeer, buf: Buffer, at: number, aux = 0): void {
  const word = (offset: number) => buf.readUInt32LE(at + offset);
  if (peer.dialect === 'linkid') {
    // An answer swaps source and target.
    const cmd = LINKID_ANSWER | REPLY | CREATE | DELETE;
    peer.send(cmd, word(8), word(12), word(24), word(28), word(16), null, aux, word(20));
  } else {
    peer.send(ERROR | REPLY | CREATE | DELETE | REVTRANS, word(8), word(12), word(16), word(20), 0, null, aux);
  }
}

/** Whether the message ends a transaction that this peer opened with a msgid of at least `from`. */
export function isEnd(buf: Buffer, at: number, cmd: number, from: number): boolean {
  return (cmd & (REPLY | DELETE)) === (REPLY | DELETE) && buf.readUInt32LE(at + 8) >= from;
}

/** Whether the message ends such a transaction with an answer. @throws Error when the router refuses. */
export function isAnswer(buf: Buffer, at: number, cmd: number, from: number): boolean {
  if (!isEnd(buf, at, cmd, from)) return false;
  const error = buf.readUInt32LE(at + 44);
  if (error !== 0) throw new Error(`the router answered with error ${error}`);
  return true;
}
