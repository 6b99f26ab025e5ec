import {
  constants,
  createCipheriv,
  createDecipheriv,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  privateEncrypt,
  publicDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';

/**
 * The peer's side of an encrypted connection (protocol.md, "Crypto"), written plainly with node:crypto, chunk by chunk:
 * slow, and independent of libs/dmsg.
 */

export const HANDSHAKE = 512;
const BLOCK = 256;
const CHUNK = 64;
const TAG = 16;

/** The keys of one side of a connection. */
export interface CryptKeys {
  own: KeyObject;
  peer: KeyObject;
  /** false: the stream without tags. */
  tagged?: boolean;
}

/** A key pair, and the PEM texts of both keys. */
export interface PeerKeys {
  own: KeyObject;
  shown: KeyObject;
  prv: string;
  pub: string;
}

/** A new key pair. */
export function makeKeys(modulusLength = 2048): PeerKeys {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength });
  return {
    own: privateKey,
    shown: publicKey,
    prv: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    pub: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

/** A handshake before it is encrypted. */
export function plainHandshake(): Buffer {
  const plain = randomBytes(HANDSHAKE);
  plain.writeUInt16LE(0x4832, 8);
  plain.writeUInt16LE(1, 10);
  plain.writeUInt32LE(0, 12);
  for (let i = 0; i < 16; i++) {
    plain[80 + i] = plain[16 + 4 * i]! ^ plain[17 + 4 * i]! ^ plain[18 + 4 * i]! ^ plain[19 + 4 * i]!;
  }
  plain.fill(0, 96, 128);
  plain[0]! &= 0x3f;
  plain[BLOCK]! &= 0x3f;
  return plain;
}

/** The handshake encrypted: its two blocks as they travel. */
export function sealHandshake(plain: Uint8Array, { own, peer }: CryptKeys): Buffer {
  const padding = constants.RSA_NO_PADDING;
  const block = (bytes: Buffer) => {
    for (let n = 0; ; n++) {
      const between = privateEncrypt({ key: own, padding }, bytes);
      if (between[0]! < 0x40) return publicEncrypt({ key: peer, padding }, between);
      bytes.writeUInt32LE(n, 4);
    }
  };
  return Buffer.concat([block(Buffer.from(plain.subarray(0, BLOCK))), block(Buffer.from(plain.subarray(BLOCK)))]);
}

interface Streams {
  out: ReturnType<typeof createCipheriv>;
  in: ReturnType<typeof createDecipheriv> | null;
}

/** One side of an encrypted connection: its handshake, then its stream. */
export class CryptSide {
  /** The 512 bytes of our handshake, to be sent first. */
  readonly handshake: Buffer;
  /** Session material for the bytes that we send. */
  readonly session: Buffer;
  /** Session material for the bytes that the other side sends; empty until its handshake has come. */
  theirs: Buffer = Buffer.alloc(0);
  readonly #keys: CryptKeys;
  #sent = 0n;
  #received = 0n;
  #pending: Buffer = Buffer.alloc(0);
  /** The ciphers of a stream without tags; null: the stream has tags. */
  #streams: Streams | null = null;

  /** `plain`: the handshake before it is encrypted; default: a new one. */
  constructor(keys: CryptKeys, plain: Buffer = plainHandshake()) {
    this.#keys = keys;
    this.handshake = sealHandshake(plain, keys);
    this.session = Buffer.from(plain.subarray(16, 80));
    if (keys.tagged === false) {
      this.#streams = {
        out: createCipheriv('aes-256-ctr', this.session.subarray(0, 32), firstBlock(this.session)),
        in: null,
      };
    }
  }

  /** Encrypts the next bytes of the stream, a multiple of 64. */
  seal(plain: Uint8Array): Buffer {
    if (plain.length % CHUNK !== 0) throw new Error('not whole chunks');
    if (this.#streams !== null) return this.#streams.out.update(plain);
    const parts: Buffer[] = [];
    for (let at = 0; at < plain.length; at += CHUNK) {
      const cipher = createCipheriv('aes-256-gcm', this.session.subarray(0, 32), iv(this.session, this.#sent++));
      parts.push(cipher.update(plain.subarray(at, at + CHUNK)), cipher.final(), cipher.getAuthTag());
    }
    return Buffer.concat(parts);
  }

  /**
   * Takes the next bytes from the other side, of which the first are its handshake. Returns the plaintext that they
   * complete.
   */
  push(chunk: Uint8Array): Buffer {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    if (this.theirs.length === 0) {
      if (this.#pending.length < HANDSHAKE) return Buffer.alloc(0);
      this.theirs = this.#readHandshake(this.#take(HANDSHAKE)).subarray(16, 80);
    }
    return this.#streams === null ? this.#openTagged() : this.#openUntagged(this.#streams);
  }

  #openTagged(): Buffer {
    const parts: Buffer[] = [];
    while (this.#pending.length >= CHUNK + TAG) {
      const sealed = this.#take(CHUNK + TAG);
      const cipher = createDecipheriv('aes-256-gcm', this.theirs.subarray(0, 32), iv(this.theirs, this.#received++));
      cipher.setAuthTag(sealed.subarray(CHUNK));
      parts.push(cipher.update(sealed.subarray(0, CHUNK)), cipher.final());
    }
    return Buffer.concat(parts);
  }

  #openUntagged(streams: Streams): Buffer {
    streams.in ??= createDecipheriv('aes-256-ctr', this.theirs.subarray(0, 32), firstBlock(this.theirs));
    return streams.in.update(this.#take(this.#pending.length));
  }

  #readHandshake(wire: Buffer): Buffer {
    const { own, peer } = this.#keys;
    const padding = constants.RSA_NO_PADDING;
    const block = (bytes: Buffer) =>
      publicDecrypt({ key: peer, padding }, privateDecrypt({ key: own, padding }, bytes));
    const plain = Buffer.concat([block(wire.subarray(0, BLOCK)), block(wire.subarray(BLOCK))]);
    if (plain.readUInt16LE(8) !== 0x4832 || plain.readUInt16LE(10) !== 1) throw new Error('bad handshake');
    return plain;
  }

  #take(bytes: number): Buffer {
    const taken = this.#pending.subarray(0, bytes);
    this.#pending = this.#pending.subarray(bytes);
    return taken;
  }
}

function iv(session: Buffer, chunk: bigint): Buffer {
  const bytes = Buffer.alloc(12);
  session.copy(bytes, 0, 32, 36);
  bytes.writeBigUInt64BE(chunk, 4);
  return bytes;
}

/** protocol.md, "Crypto": Stream, without tags: the first counter block is IV, eight zero bytes, 00000002. */
function firstBlock(session: Buffer): Buffer {
  return Buffer.concat([iv(session, 0n), Buffer.of(0, 0, 0, 2)]);
}
