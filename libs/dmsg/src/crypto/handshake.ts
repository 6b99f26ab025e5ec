import { timingSafeEqual } from 'node:crypto';
import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import { MAGIC, MAGIC_SWAPPED } from '../wire/header.ts';
import { readU8, readU16 } from '../wire/words.ts';
import { bindingIn, bindTo } from './handshake-binding.ts';
import { BLOCK_BYTES, encryptBlock, type HandshakeKeys, openBlock, refused } from './handshake-block.ts';
import { OPENSSL_STEPS, type RsaSteps } from './rsa-steps.ts';
import { SESSION_BYTES } from './session.ts';

/** What each side sends before anything else, without waiting for the other (protocol.md, "Crypto": Handshake). */
export const HANDSHAKE_BYTES = 2 * BLOCK_BYTES;

// The plain layout (protocol.md, "Crypto": Handshake).
const MAGIC_AT = 8;
const VERSION_AT = 10;
const FLAGS_AT = 12;
const SESSION_AT = 16;
const VERIFIER_AT = SESSION_AT + SESSION_BYTES;
const VERIFIER_BYTES = 16;
const REASON_AT = 96;
const REASON_BYTES = 32;
const VERSION = 1;
const LOW_SIX_BITS = 0x3f;
/** The reason text that we send: printable, as the texts of the references are. */
const OUR_REASON = Buffer.from('spanmesh', 'latin1');

/** A cryptographic random source: that many fresh bytes, the caller's to keep and to change. */
export type RandomBytes = (bytes: number) => Uint8Array;

/** Our half of a handshake. */
export interface OwnHandshake {
  /** 512 bytes to send. */
  readonly wire: Uint8Array;
  /** 64 bytes of key material for what we send afterwards. Secret. */
  readonly session: Uint8Array;
}

/** The peer's half. */
export interface PeerHandshake {
  /** 64 bytes of key material for what the peer sends afterwards. Secret. */
  readonly session: Uint8Array;
  /** The text that the peer put in, its printable ASCII; authentic, and of no meaning. */
  readonly reason: string;
}

/**
 * Makes our half.
 * @throws DmsgError BADURANDOM: the random source fails; KEYXCHGFAIL: the keys do not work.
 */
export function makeHandshake(keys: HandshakeKeys, random: RandomBytes): OwnHandshake {
  const plain = randomPlain(random);
  const fields = new DataView(plain.buffer, plain.byteOffset);
  fields.setUint16(MAGIC_AT, MAGIC, true);
  fields.setUint16(VERSION_AT, VERSION, true);
  fields.setUint32(FLAGS_AT, 0, true);
  const session = Uint8Array.from(plain.subarray(SESSION_AT, VERIFIER_AT));
  plain.set(verifierOf(session), VERIFIER_AT);
  plain.fill(0, REASON_AT, REASON_AT + REASON_BYTES);
  plain.set(OUR_REASON, REASON_AT);
  bindTo(plain, session, keys.peer);
  for (const at of [0, BLOCK_BYTES]) plain[at] = readU8(plain, at) & LOW_SIX_BITS;
  return { wire: encryptHandshake(plain, keys), session };
}

/** Encrypts the 512 bytes of a plain handshake; increments bytes 4..7 of its two blocks in place. */
export function encryptHandshake(plain: Uint8Array, keys: HandshakeKeys): Uint8Array {
  return Buffer.concat([
    encryptBlock(plain.subarray(0, BLOCK_BYTES), keys),
    encryptBlock(plain.subarray(BLOCK_BYTES, HANDSHAKE_BYTES), keys),
  ]);
}

/** Remembers the handshakes that were received. */
export interface Replays {
  /** @throws DmsgError KEYXCHGFAIL: a handshake with this material was received before. */
  admit(session: Uint8Array): void;
}

/** How a handshake is read. */
export interface ReadOptions {
  /**
   * The peer must name our key as the receiver's (handshake-binding.ts); default: it need not, but must not name
   * another.
   */
  readonly mustBind?: boolean;
  /** Default: those of OpenSSL. */
  readonly steps?: RsaSteps;
}

/**
 * Reads the peer's half. Its sender has the peer's private key, or has recorded a handshake made with that key (see
 * ReplayMemory). Does four RSA operations and every check whatever is wrong, and looks at one flag at the end
 * (handshake-block.ts says why).
 * @param wire 512 bytes.
 * @throws DmsgError KEYXCHGFAIL: it was not made with these keys, or breaks a rule; `data.check` is a HandshakeCheck.
 */
export function readHandshake(
  wire: Uint8Array,
  keys: HandshakeKeys,
  { mustBind = false, steps = OPENSSL_STEPS }: ReadOptions = {},
): PeerHandshake {
  const first = openBlock(wire.subarray(0, BLOCK_BYTES), keys, steps);
  const second = openBlock(wire.subarray(BLOCK_BYTES, HANDSHAKE_BYTES), keys, steps);
  const plain = Buffer.concat([first.plain, second.plain]);
  const session = Uint8Array.from(plain.subarray(SESSION_AT, VERIFIER_AT));
  const verifier = plain.subarray(VERIFIER_AT, VERIFIER_AT + VERIFIER_BYTES);
  const isVerified = timingSafeEqual(verifier, verifierOf(session));
  const wrong = first.wrong | second.wrong | wrongFields(plain) | Number(!isVerified);
  const binding = bindingIn(plain, session, keys.own);
  if (wrong !== 0) throw refused('keys');
  if (binding.named && !binding.ours) throw refused('forwarded');
  if (mustBind && !binding.ours) throw refused('unbound');
  return { session, reason: printable(plain.subarray(REASON_AT, REASON_AT + REASON_BYTES)) };
}

/**
 * 0 if magic and version are right, else 1. The magic shows the sender's byte order (protocol.md, introduction); only
 * the version depends on it, all other fields are bytes.
 */
function wrongFields(plain: Buffer): number {
  const magic = readU16(plain, MAGIC_AT);
  const little = (magic ^ MAGIC) | (plain.readUInt16LE(VERSION_AT) ^ VERSION);
  const big = (magic ^ MAGIC_SWAPPED) | (plain.readUInt16BE(VERSION_AT) ^ VERSION);
  return Number(little !== 0) & Number(big !== 0);
}

/**
 * The handshake of one connection. It waits for the peer's 512 bytes; the `push` that completes them ends it, with a
 * result or an error. Who throws which code (protocol.md, "Message": Errors): NOPEER (neither a key nor permission for
 * plaintext) is the caller's; NOLKEY, NORKEY and KEYFMT come from rsa-key.ts; BADURANDOM from the constructor;
 * KEYXCHGFAIL is everything that is wrong with the peer's half.
 */
export class Handshake {
  /** 512 bytes to send at once. */
  readonly wire: Uint8Array;
  /** The material for our Sealer. Secret. */
  readonly session: Uint8Array;
  readonly #keys: HandshakeKeys;
  readonly #replays: Replays | null;
  readonly #options: ReadOptions;
  readonly #received = new Uint8Array(HANDSHAKE_BYTES);
  #receivedBytes = 0;
  #ended = false;

  /**
   * @param deps.replays null: replayed handshakes are not detected.
   * @throws DmsgError as makeHandshake.
   */
  constructor(
    keys: HandshakeKeys,
    deps: { readonly random: RandomBytes; readonly replays: Replays | null },
    options: ReadOptions = {},
  ) {
    this.#keys = keys;
    this.#options = options;
    this.#replays = deps.replays;
    ({ wire: this.wire, session: this.session } = makeHandshake(keys, deps.random));
  }

  /**
   * Takes the next bytes from the peer. Null: more are needed. Otherwise the peer's half, and in `rest` the bytes after
   * it: the beginning of the encrypted stream.
   * @throws DmsgError KEYXCHGFAIL: as readHandshake, or played back; STATE: the handshake has already ended.
   */
  push(bytes: Uint8Array): (PeerHandshake & { readonly rest: Uint8Array }) | null {
    if (this.#ended) throw new DmsgError(ErrorCode.STATE, 'handshake has ended');
    const taken = Math.min(bytes.length, HANDSHAKE_BYTES - this.#receivedBytes);
    this.#received.set(bytes.subarray(0, taken), this.#receivedBytes);
    this.#receivedBytes += taken;
    if (this.#receivedBytes < HANDSHAKE_BYTES) return null;
    this.#ended = true;
    const peer = readHandshake(this.#received, this.#keys, this.#options);
    // Our own half, sent back by a peer that has our private key: both directions would use one key and one IV.
    if (timingSafeEqual(peer.session, this.session)) throw refused('our own');
    this.#replays?.admit(peer.session);
    return { ...peer, rest: bytes.subarray(taken) };
  }
}

function randomPlain(random: RandomBytes): Uint8Array {
  let plain: Uint8Array;
  try {
    plain = random(HANDSHAKE_BYTES);
  } catch (cause) {
    throw new DmsgError(ErrorCode.BADURANDOM, 'random source fails', {}, { cause });
  }
  if (plain.length !== HANDSHAKE_BYTES) {
    throw new DmsgError(ErrorCode.BADURANDOM, 'too few random bytes', { bytes: plain.length });
  }
  return plain;
}

/** protocol.md, "Crypto": byte i of the verifier is the XOR of session bytes 4i..4i+3. */
function verifierOf(session: Uint8Array): Uint8Array {
  const verifier = new Uint8Array(VERIFIER_BYTES);
  for (const [i, byte] of session.entries()) verifier[i >> 2] = readU8(verifier, i >> 2) ^ byte;
  return verifier;
}

function printable(text: Uint8Array): string {
  const end = text.indexOf(0);
  return Buffer.from(end < 0 ? text : text.subarray(0, end))
    .toString('latin1')
    .replace(/[^ -~]/g, '?');
}
