import { generateKeyPairSync, privateEncrypt, publicEncrypt, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../error-code.ts';
import { errorOf, expectNoSecrets } from './error.fixture.ts';
import { encryptHandshake, HANDSHAKE_BYTES, Handshake, makeHandshake, readHandshake } from './handshake.ts';
import { decryptBlock, type HandshakeKeys } from './handshake-block.ts';
import { recordedSides } from './recorded-session.fixture.ts';
import { ReplayMemory } from './replay.ts';

const { keys: ours, peerKeys: theirs } = recordedSides()[0]!;
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 });
const deps = { random: randomBytes, replays: null };

/** A valid plain handshake, of which a test may break something. */
function plainHandshake(): Buffer {
  const { wire } = makeHandshake(theirs, randomBytes);
  return Buffer.concat([decryptBlock(wire.subarray(0, 256), ours), decryptBlock(wire.subarray(256), ours)]);
}

/** As a sender that does not look at top bits. */
function carelessBlock(plain: Uint8Array, keys: HandshakeKeys): Uint8Array {
  const padding = 3; // RSA_NO_PADDING
  return publicEncrypt({ key: keys.peer, padding }, privateEncrypt({ key: keys.own, padding }, plain));
}

describe('making a handshake', () => {
  it('lays it out as protocol.md says', () => {
    const random = randomBytes(512);
    const { wire, session } = makeHandshake(theirs, () => Buffer.from(random));
    const plain = Buffer.concat([decryptBlock(wire.subarray(0, 256), ours), decryptBlock(wire.subarray(256), ours)]);
    expect(wire.length).toBe(HANDSHAKE_BYTES);
    expect(plain[0]).toBe(random[0]! & 0x3f);
    expect(plain[256]).toBe(random[256]! & 0x3f);
    expect(plain.subarray(8, 16).toString('hex')).toBe('3248010000000000');
    expect(plain.subarray(16, 80).equals(session)).toBe(true);
    expect(random.subarray(16, 80).equals(session)).toBe(true);
    for (let i = 0; i < 16; i++) {
      expect(plain[80 + i]).toBe(session[4 * i]! ^ session[4 * i + 1]! ^ session[4 * i + 2]! ^ session[4 * i + 3]!);
    }
    expect(plain.subarray(96, 128).toString('latin1')).toBe('spanmesh'.padEnd(32, '\0'));
    // But for bytes 4..7 of each block, which are counted up, the rest is random.
    expect(plain.subarray(128, 256).equals(random.subarray(128, 256))).toBe(true);
    expect(plain.subarray(264).equals(random.subarray(264))).toBe(true);
    expect(plain.subarray(1, 4).equals(random.subarray(1, 4))).toBe(true);
  });

  it('is read by the peer, every time', () => {
    // The first tries of about half of these blocks fail.
    for (let i = 0; i < 10; i++) {
      const { wire, session } = makeHandshake(ours, randomBytes);
      const read = readHandshake(wire, theirs);
      expect(Buffer.from(session).equals(read.session)).toBe(true);
      expect(read.reason).toBe('spanmesh');
    }
  });

  it('counts bytes 4..7 up, over their end', () => {
    const plain = plainHandshake();
    plain.fill(0xff, 4, 8);
    plain.fill(0xff, 260, 264);
    for (let i = 0; i < 8; i++) {
      plain[20] = i;
      const sent = Buffer.from(plain);
      const wire = encryptHandshake(sent, ours);
      expect(decryptBlock(wire.subarray(0, 256), theirs)).toEqual(sent.subarray(0, 256));
      expect(sent.subarray(0, 4).equals(plain.subarray(0, 4))).toBe(true);
      expect(sent.subarray(8, 260).equals(plain.subarray(8, 260))).toBe(true);
    }
  });

  it('is BADURANDOM when the random source fails or gives too little', () => {
    errorOf(ErrorCode.BADURANDOM, () => makeHandshake(ours, (bytes) => randomBytes(bytes - 1)));
    errorOf(ErrorCode.BADURANDOM, () =>
      makeHandshake(ours, () => {
        throw new Error('no entropy');
      }),
    );
  });
});

describe('reading a handshake', () => {
  const refusal = (wire: Uint8Array, keys = ours) => errorOf(ErrorCode.KEYXCHGFAIL, () => readHandshake(wire, keys));

  it('refuses the wrong keys, on either side', () => {
    const { wire, session } = makeHandshake(theirs, randomBytes);
    for (const keys of [
      { own: ours.own, peer: stranger.publicKey },
      { own: stranger.privateKey, peer: ours.peer },
      { own: stranger.privateKey, peer: stranger.publicKey },
    ]) {
      expectNoSecrets(refusal(wire, keys), [session, wire]);
    }
    refusal(makeHandshake({ own: stranger.privateKey, peer: theirs.peer }, randomBytes).wire);
  });

  it.each([
    ['magic', (plain: Buffer) => plain.writeUInt16LE(0x4833, 8)],
    ['version', (plain: Buffer) => plain.writeUInt16LE(2, 10)],
    // Read with the other byte order, as its magic asks.
    ['version', (plain: Buffer) => plain.writeUInt16BE(0x4832, 8)],
    ['verifier', (plain: Buffer) => plain.writeUInt8(plain[16]! ^ 1, 16)],
    ['verifier', (plain: Buffer) => plain.writeUInt8(plain[79]! ^ 0x80, 79)],
    ['verifier', (plain: Buffer) => plain.writeUInt8(plain[95]! ^ 1, 95)],
  ] as const)('checks the %s', (check, damage) => {
    const plain = plainHandshake();
    damage(plain);
    const error = refusal(encryptHandshake(plain, theirs));
    expect(error.data).toEqual({ check });
    expectNoSecrets(error, [plain.subarray(0, 96)]);
  });

  it('reads a sender of the other byte order', () => {
    const plain = plainHandshake();
    plain.writeUInt16BE(0x4832, 8);
    plain.writeUInt16BE(1, 10);
    const read = readHandshake(encryptHandshake(plain, theirs), ours);
    expect(plain.subarray(16, 80).equals(read.session)).toBe(true);
  });

  it('checks the top bits, of both blocks', () => {
    for (const [block, bit] of [
      [0, 0x40],
      [1, 0x40],
      [0, 0x80],
      [1, 0x80],
    ] as const) {
      const plain = plainHandshake();
      // Below the modulus, whose top bit is set: others of the top byte are cleared.
      plain[256 * block] = bit;
      expect(refusal(encryptHandshake(plain, theirs)).data).toEqual({ check: 'top bits' });
    }
  });

  it('checks the top bits between the keys', () => {
    let seen = false;
    for (let i = 0; i < 200 && !seen; i++) {
      const plain = plainHandshake().subarray(0, 256);
      plain.writeUInt32LE(i, 4);
      let block: Uint8Array;
      try {
        block = carelessBlock(plain, theirs);
      } catch {
        // Above our modulus.
        continue;
      }
      try {
        expect(plain.equals(decryptBlock(block, ours))).toBe(true);
      } catch {
        expect(errorOf(ErrorCode.KEYXCHGFAIL, () => decryptBlock(block, ours)).data).toEqual({
          check: 'top bits between the keys',
        });
        seen = true;
      }
    }
    expect(seen).toBe(true);
  });

  it('refuses numbers above the modulus', () => {
    expect(refusal(Buffer.alloc(512, 0xff)).data).toEqual({ check: 'number too large for its key' });
  });

  it('refuses a changed first block and noise, and throws nothing else', () => {
    const { wire } = makeHandshake(theirs, randomBytes);
    for (let at = 0; at < 256; at += 17) {
      const bad = Buffer.from(wire);
      bad[at]! ^= 0x20;
      refusal(bad);
    }
    for (let i = 0; i < 20; i++) refusal(randomBytes(512));
  });

  it('gives the text as printable ASCII up to its NUL', () => {
    const plain = plainHandshake();
    plain.write('a\nb\x7f\xe9!\0secret', 96, 'latin1');
    expect(readHandshake(encryptHandshake(plain, theirs), ours).reason).toBe('a?b??!');
    plain.fill('x', 96, 128);
    expect(readHandshake(encryptHandshake(plain, theirs), ours).reason).toBe('x'.repeat(32));
  });
});

describe('the handshake of a connection', () => {
  it('takes its 512 bytes in any pieces and gives back what follows', () => {
    const peer = makeHandshake(theirs, randomBytes);
    const stream = Buffer.concat([peer.wire, Buffer.from('the stream')]);
    for (const cut of [0, 1, 255, 256, 511, 512, 515, stream.length]) {
      const handshake = new Handshake(ours, deps);
      const first = handshake.push(stream.subarray(0, cut));
      expect(first === null).toBe(cut < HANDSHAKE_BYTES);
      const done = first ?? handshake.push(stream.subarray(cut))!;
      expect(Buffer.from(peer.session).equals(done.session)).toBe(true);
      expect(Buffer.from(done.rest).toString()).toBe('the stream'.slice(0, first === null ? undefined : cut - 512));
      errorOf(ErrorCode.STATE, () => handshake.push(stream));
    }
  });

  it('takes them byte by byte, and is never done with fewer', () => {
    const peer = makeHandshake(theirs, randomBytes);
    const handshake = new Handshake(ours, deps);
    for (let i = 0; i < 511; i++) expect(handshake.push(peer.wire.subarray(i, i + 1))).toBeNull();
    expect(handshake.push(peer.wire.subarray(511))!.rest.length).toBe(0);
  });

  it('is over after an error', () => {
    const handshake = new Handshake(ours, deps);
    const error = errorOf(ErrorCode.KEYXCHGFAIL, () => handshake.push(Buffer.alloc(512, 1)));
    expectNoSecrets(error, [handshake.session]);
    errorOf(ErrorCode.STATE, () => handshake.push(Buffer.alloc(1)));
  });

  it('refuses its own half sent back', () => {
    const same = { own: ours.own, peer: theirs.peer };
    const handshake = new Handshake(same, deps);
    expect(errorOf(ErrorCode.KEYXCHGFAIL, () => handshake.push(handshake.wire)).data).toEqual({ check: 'our own' });
  });

  it('refuses one that was played back', () => {
    const replays = new ReplayMemory({ rememberMs: 1000, limit: 10 }, { clock: { now: () => 0 } });
    const { wire } = makeHandshake(theirs, randomBytes);
    expect(new Handshake(ours, { random: randomBytes, replays }).push(wire)).not.toBeNull();
    const second = new Handshake(ours, { random: randomBytes, replays });
    expect(errorOf(ErrorCode.KEYXCHGFAIL, () => second.push(wire)).data).toEqual({ check: 'replay' });
  });
});
