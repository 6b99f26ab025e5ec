import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { Opener, Sealer } from '@spanmesh/dmsg/crypto/cipher';
import { encryptHandshake, HANDSHAKE_BYTES, Handshake, readHandshake } from '@spanmesh/dmsg/crypto/handshake';
import type { HandshakeKeys } from '@spanmesh/dmsg/crypto/handshake-block';
import { ownPrivateKey, peerPublicKey } from '@spanmesh/dmsg/crypto/rsa-key';
import { StreamOpener } from '@spanmesh/dmsg/crypto/stream-opener';
import { StreamSealer } from '@spanmesh/dmsg/crypto/stream-sealer';
import { UntaggedOpener, UntaggedSealer } from '@spanmesh/dmsg/crypto/untagged';
import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { Random } from './random.ts';
import { recordedHandshake } from './recordings.ts';
import { expectThat, Finding, type Target } from './target.ts';

// Control bytes: the kind of test; a seed for splits, keys and places; the amount.
const CONTROL_BYTES = 4;
const CHUNK_BYTES = 64;
const SEALED_BYTES = 80;
const SESSION_BYTES = 64;
const MAX_CONTENT_BYTES = 4096;

const recorded = recordedHandshake();
/** The router's keys and its peer's, as recorded. */
const OURS: HandshakeKeys = {
  own: createPrivateKey(recorded.keys.daemonPrivate),
  peer: createPublicKey(recorded.keys.clientPublic),
};
const THEIRS: HandshakeKeys = {
  own: createPrivateKey(recorded.keys.clientPrivate),
  peer: createPublicKey(recorded.keys.daemonPublic),
};

/** Options for handshakes: random bytes that are always the same, and no memory of replays. */
const noReplays = { random: (bytes: number) => new Uint8Array(bytes).fill(7), replays: null };

/**
 * Handshake, key files and encrypted streams. Oracles: only a DmsgError with a documented code is thrown. A changed
 * handshake is refused, unless only bytes without a meaning were changed. An opener gives out exactly the sealed bytes
 * before the first changed chunk, wherever the stream is cut, then fails with MACFAIL, and gives out nothing more. It
 * holds less than a chunk.
 */
export class CryptoTarget implements Target {
  readonly name = 'crypto';
  readonly maxBytes = CONTROL_BYTES + MAX_CONTENT_BYTES;
  readonly controlBytes = CONTROL_BYTES;
  readonly counts: Record<string, number> = {
    streams: 0,
    'handshakes on the wire': 0,
    'handshakes before encryption': 0,
    'key files': 0,
  };

  generate(random: Random, buf: Uint8Array): number {
    const kind = random.below(64);
    buf[0] = kind < 56 ? kind % 2 : kind < 60 ? 2 : kind < 62 ? 3 : 4;
    random.fill(buf, 1, CONTROL_BYTES);
    const size = [
      CHUNK_BYTES * random.few(40, 220),
      CHUNK_BYTES * random.few(8),
      8 * random.few(8),
      12 * random.few(4),
      8 * random.few(6),
    ];
    const end = CONTROL_BYTES + size[buf[0]!]!;
    random.fill(buf, CONTROL_BYTES, end);
    return end;
  }

  run(input: Uint8Array): void {
    if (input.length < CONTROL_BYTES) return;
    const content = input.subarray(CONTROL_BYTES);
    const random = new Random((input[1]! << 16) | (input[2]! << 8) | input[3]!);
    switch (input[0]! % 5) {
      case 0:
        this.counts.streams!++;
        taggedStream(content, random);
        break;
      case 1:
        this.counts.streams!++;
        untaggedStream(content, random);
        break;
      case 2:
        this.counts['handshakes on the wire']!++;
        changedOnTheWire(content, random);
        break;
      case 3:
        this.counts['handshakes before encryption']!++;
        changedBeforeEncryption(content);
        break;
      default:
        this.counts['key files']!++;
        changedKeyFile(content, random);
    }
  }
}

function sessionOf(random: Random): Uint8Array {
  const session = new Uint8Array(SESSION_BYTES);
  random.fill(session, 0, SESSION_BYTES);
  return session;
}

/** Seals whole chunks of the content, in calls of random sizes. */
function seal(sealer: Sealer, content: Uint8Array, random: Random): Buffer {
  const whole = content.subarray(0, content.length - (content.length % CHUNK_BYTES));
  const parts: Uint8Array[] = [];
  for (let at = 0; at < whole.length; ) {
    const bytes = CHUNK_BYTES * random.few(4);
    const slice = whole.subarray(at, at + bytes);
    at += bytes;
    if (random.oneIn(2)) parts.push(sealer.seal(slice));
    else parts.push(Buffer.concat(sealer.sealSlices([slice.subarray(0, CHUNK_BYTES), slice.subarray(CHUNK_BYTES)])));
  }
  return Buffer.concat(parts);
}

/** Opens a stream that is cut at any places. Returns the opened bytes, and the code of the error. */
function openCut(opener: Opener, wire: Uint8Array, random: Random): { plain: Buffer; code: number } {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < wire.length; ) {
    const bytes = random.oneIn(8) ? random.below(700) : random.few(200, 250);
    try {
      opener.open(wire.subarray(at, at + bytes), { onPlain: (plain) => parts.push(Buffer.from(plain)) });
    } catch (error) {
      if (!(error instanceof DmsgError)) throw error;
      isDead(opener);
      return { plain: Buffer.concat(parts), code: error.code };
    }
    expectThat(opener.pendingBytes < SEALED_BYTES, 'more than a chunk is held');
    at += bytes;
  }
  return { plain: Buffer.concat(parts), code: ErrorCode.OK };
}

/** Checks that the opener gives out nothing after MACFAIL. */
function isDead(opener: Opener): void {
  try {
    opener.open(Uint8Array.of(1), { onPlain: () => {} });
  } catch (error) {
    if (error instanceof DmsgError && error.code === ErrorCode.STATE) return;
    throw error;
  }
  throw new Finding('an opener lives on after MACFAIL');
}

/** A stream with tags that is changed on its way. */
function taggedStream(content: Uint8Array, random: Random): void {
  const session = sessionOf(random);
  const sealed = seal(new StreamSealer(session), content, random);
  const changed = tamper(sealed, random);
  const { plain, code } = openCut(new StreamOpener(session), changed, random);
  let same = 0;
  while ((same + 1) * SEALED_BYTES <= changed.length && isSameChunk(sealed, changed, same)) same++;
  // A further complete chunk that differs must be noticed; an incomplete chunk waits.
  const wanted = (same + 1) * SEALED_BYTES <= changed.length ? ErrorCode.MACFAIL : ErrorCode.OK;
  expectThat(code === wanted, () => `error ${code}, ${wanted} expected`);
  const expected = content.subarray(0, same * CHUNK_BYTES);
  expectThat(Buffer.compare(plain, expected) === 0, () => `${plain.length} bytes came out, not the ${expected.length}`);
}

function isSameChunk(a: Uint8Array, b: Uint8Array, chunk: number): boolean {
  const end = (chunk + 1) * SEALED_BYTES;
  if (end > a.length) return false;
  for (let i = chunk * SEALED_BYTES; i < end; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Changes the stream: flips a bit, cuts, repeats, swaps or adds chunks; or changes nothing. */
function tamper(wire: Buffer, random: Random): Buffer {
  const changed = Buffer.from(wire);
  if (changed.length === 0) return changed;
  const chunks = changed.length / SEALED_BYTES;
  const chunk = random.below(chunks) * SEALED_BYTES;
  switch (random.below(6)) {
    case 0:
      changed[random.below(changed.length)]! ^= 1 << random.below(8);
      return changed;
    case 1:
      return changed.subarray(0, random.below(changed.length));
    case 2:
      return Buffer.concat([changed.subarray(0, chunk), changed.subarray(chunk + SEALED_BYTES)]);
    case 3:
      return Buffer.concat([changed.subarray(0, chunk + SEALED_BYTES), changed.subarray(chunk)]);
    case 4:
      changed.copy(changed, chunk, 0, SEALED_BYTES);
      return changed;
    default:
      return changed;
  }
}

/** A stream without tags, which may exceed the limit of its key. */
function untaggedStream(content: Uint8Array, random: Random): void {
  const session = sessionOf(random);
  const limitBytes = random.oneIn(4) ? CHUNK_BYTES * random.few(8) : undefined;
  const sealed = seal(new UntaggedSealer(session), content, random);
  const { plain, code } = openCut(new UntaggedOpener(session, { limitBytes }), sealed, random);
  const isOver = limitBytes !== undefined && sealed.length > limitBytes;
  expectThat(code === (isOver ? ErrorCode.IVWRAP : ErrorCode.OK), () => `error ${code}`);
  if (isOver) expectThat(plain.length <= limitBytes, 'more than the key allows');
  else expectThat(plain.length === sealed.length, 'bytes are missing');
  expectThat(Buffer.compare(plain, content.subarray(0, plain.length)) === 0, 'other bytes than were sealed');
}

/** The recorded handshake, with bytes changed after encryption. */
function changedOnTheWire(content: Uint8Array, random: Random): void {
  const wire = Buffer.from(recorded.clientWire);
  for (let at = 0; at + 8 <= content.length; at += 8) {
    const place = ((content[at]! << 8) | content[at + 1]!) % HANDSHAKE_BYTES;
    if (content[at + 2]! % 4 === 0) wire.fill(content[at + 3]!, place);
    else wire[place]! ^= content[at + 3]!;
  }
  const isChanged = Buffer.compare(wire, recorded.clientWire) !== 0;
  const rest = random.below(40);
  const sent = Buffer.concat([wire, Buffer.alloc(rest, 5)]);
  const handshake = new Handshake(OURS, noReplays);
  let at = 0;
  try {
    while (at < sent.length) {
      const bytes = random.few(600, 254);
      const result = handshake.push(sent.subarray(at, at + bytes));
      at += bytes;
      if (result === null) continue;
      // RSA without padding does not protect integrity: a changed second block, which is random, may be accepted.
      const isFirstSame = Buffer.compare(wire.subarray(0, 256), recorded.clientWire.subarray(0, 256)) === 0;
      expectThat(!isChanged || isFirstSame, 'a changed first block passes');
      expectThat(result.session.length === SESSION_BYTES && result.rest.length <= rest, 'too much is left');
      return;
    }
  } catch (error) {
    if (!(error instanceof DmsgError) || error.code !== ErrorCode.KEYXCHGFAIL) throw error;
    expectThat(isChanged, 'an unchanged handshake is refused');
    return;
  }
  throw new Finding('512 bytes are not enough for a handshake');
}

/** A handshake of a peer with the right keys and wrong content. */
function changedBeforeEncryption(content: Uint8Array): void {
  const plain = Buffer.from(recorded.clientPlain);
  for (let at = 0; at + 12 <= content.length; at += 12) {
    // Most changes are within the first 128 bytes, which have a meaning.
    const place = content[at]! % 4 === 0 ? 256 + content[at + 1]! : content[at + 1]! % 136;
    plain[place] = content[at + 2]!;
  }
  plain[0]! &= 0x3f;
  plain[256]! &= 0x3f;
  const same = (start: number, end: number) =>
    Buffer.compare(plain.subarray(start, end), recorded.clientPlain.subarray(start, end)) === 0;
  const isSame = same(8, 12) && same(16, 96);
  try {
    const { session, reason } = readHandshake(encryptHandshake(plain, THEIRS), OURS);
    expectThat(Buffer.compare(session, plain.subarray(16, 80)) === 0, 'another session than was sent');
    for (let i = 0; i < 16; i++) {
      const xor = session[4 * i]! ^ session[4 * i + 1]! ^ session[4 * i + 2]! ^ session[4 * i + 3]!;
      expectThat(plain[80 + i] === xor, 'a wrong verifier passes');
    }
    const words = [plain.readUInt16LE(8), plain.readUInt16LE(10)].join();
    expectThat(words === '18482,1' || words === '12872,256', 'a wrong magic or version passes');
    expectThat(/^[ -~]{0,32}$/.test(reason), 'a reason that is not printable');
  } catch (error) {
    if (!(error instanceof DmsgError) || error.code !== ErrorCode.KEYXCHGFAIL) throw error;
    expectThat(!isSame, 'a handshake that is right is refused');
  }
}

/** A PEM file of a key, with bytes changed. */
function changedKeyFile(content: Uint8Array, random: Random): void {
  const isPrivate = random.oneIn(2);
  const { keys } = recorded;
  const pem = Buffer.from(random.pick([keys.daemonPrivate, keys.clientPublic]), 'latin1');
  for (let at = 0; at + 8 <= content.length; at += 8) {
    const place = ((content[at]! << 8) | content[at + 1]!) % pem.length;
    if (content[at + 2]! % 8 === 0) pem.fill(content[at + 3]!, place);
    else pem[place] = content[at + 3]!;
  }
  try {
    if (isPrivate) ownPrivateKey(pem.toString('latin1'));
    else peerPublicKey(pem.toString('latin1'));
  } catch (error) {
    if (!(error instanceof DmsgError)) throw error;
    const codes: readonly number[] = [ErrorCode.KEYFMT, ErrorCode.NOLKEY, ErrorCode.NORKEY];
    expectThat(codes.includes(error.code), () => `error ${error.code} of a key file`);
    expectThat(!error.message.includes('MII'), 'a key in an error');
  }
}
