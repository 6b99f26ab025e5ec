import { createHash, createHmac, generateKeyPairSync, privateEncrypt, publicEncrypt, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../error-code.ts';
import { errorOf, expectNoSecrets } from './error.fixture.ts';
import { encryptHandshake, HANDSHAKE_BYTES, Handshake, makeHandshake, readHandshake } from './handshake.ts';
import { type HandshakeKeys, openBlock } from './handshake-block.ts';
import { recordedSides } from './recorded-session.fixture.ts';
import { ReplayMemory } from './replay.ts';
import { OPENSSL_STEPS, type RsaSteps } from './rsa-steps.ts';

const { keys: ours, peerKeys: theirs } = recordedSides()[0]!;
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 });
const deps = { random: randomBytes, replays: null };

/** The plain bytes of both blocks, valid or not. */
function plainOf(wire: Uint8Array, keys: HandshakeKeys): Buffer {
  const blocks = [wire.subarray(0, 256), wire.subarray(256)];
  return Buffer.concat(blocks.map((block) => openBlock(block, keys, OPENSSL_STEPS).plain));
}

/** A valid plain handshake, of which a test may break something. */
function plainHandshake(): Buffer {
  return plainOf(makeHandshake(theirs, randomBytes).wire, ours);
}

/** A handshake as the references make it: random bytes where ours names the receiver. */
function unboundHandshake(): Buffer {
  const plain = plainHandshake();
  randomBytes(128).copy(plain, 128);
  return plain;
}

/** Counts the RSA operations; one that is refused because its number is too large does not count. */
function counted(): RsaSteps & { operations: string[] } {
  const operations: string[] = [];
  return {
    operations,
    privateDecrypt: (key, bytes) => {
      const result = OPENSSL_STEPS.privateDecrypt(key, bytes);
      operations.push('private');
      return result;
    },
    publicDecrypt: (key, bytes) => {
      const result = OPENSSL_STEPS.publicDecrypt(key, bytes);
      operations.push('public');
      return result;
    },
  };
}

/** A block from a sender that does not make the top bits of the signed block clear. */
function carelessBlock(plain: Uint8Array, keys: HandshakeKeys): Uint8Array {
  const padding = 3; // RSA_NO_PADDING
  return publicEncrypt({ key: keys.peer, padding }, privateEncrypt({ key: keys.own, padding }, plain));
}

describe('making a handshake', () => {
  it('lays it out as protocol.md says', () => {
    const random = randomBytes(512);
    const { wire, session } = makeHandshake(theirs, () => Buffer.from(random));
    const plain = plainOf(wire, ours);
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
    // The rest is random, except for bytes 4..7 of each block, which are incremented.
    expect(plain.subarray(128, 136).toString('latin1')).toBe('for key:');
    expect(plain.subarray(136, 168)).toEqual(
      createHmac('sha256', session)
        .update('spanmesh: receiver of a handshake')
        .update(
          createHash('sha256')
            .update(theirs.peer.export({ type: 'spki', format: 'der' }))
            .digest(),
        )
        .digest(),
    );
    expect(plain.subarray(168, 256).equals(random.subarray(168, 256))).toBe(true);
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
      expect(plainOf(wire, theirs)).toEqual(sent);
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
    // A little-endian version behind the magic of the other byte order.
    ['version', (plain: Buffer) => plain.writeUInt16BE(0x4832, 8)],
    ['verifier', (plain: Buffer) => plain.writeUInt8(plain[16]! ^ 1, 16)],
    ['verifier', (plain: Buffer) => plain.writeUInt8(plain[79]! ^ 0x80, 79)],
    ['verifier', (plain: Buffer) => plain.writeUInt8(plain[95]! ^ 1, 95)],
  ] as const)('checks the %s, and does not say so', (_what, damage) => {
    const plain = plainHandshake();
    damage(plain);
    const error = refusal(encryptHandshake(plain, theirs));
    expect(error.data).toEqual({ check: 'keys' });
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
      // Below the modulus, whose top bit is set, as the other bits of the first byte are clear.
      plain[256 * block] = bit;
      expect(refusal(encryptHandshake(plain, theirs)).data).toEqual({ check: 'keys' });
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
        // The number is above our modulus.
        continue;
      }
      const opened = openBlock(block, ours, OPENSSL_STEPS);
      if (opened.wrong === 0) {
        expect(plain.equals(opened.plain)).toBe(true);
        continue;
      }
      const second = makeHandshake(theirs, randomBytes).wire.subarray(256);
      expect(refusal(Buffer.concat([block, second])).data).toEqual({ check: 'keys' });
      seen = true;
    }
    expect(seen).toBe(true);
  });

  it('refuses numbers above the modulus', () => {
    expect(refusal(Buffer.alloc(512, 0xff)).data).toEqual({ check: 'keys' });
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

  it('takes two private and two public operations, whatever is wrong first', () => {
    // Three kinds of failed handshake whose times could differ: they fail after one operation, after two, and after
    // all.
    const kinds: Record<string, Buffer> = { 'above the modulus': Buffer.alloc(512, 0xff) };
    const wanted = ['top bits between the keys', 'top bits', 'later'];
    while (wanted.some((kind) => kinds[kind] === undefined)) {
      const noise = randomBytes(512);
      noise[0]! &= 0x3f;
      noise[256]! &= 0x3f;
      const between = OPENSSL_STEPS.privateDecrypt(ours.own, noise.subarray(0, 256));
      if ((between[0]! & 0xc0) !== 0) kinds['top bits between the keys'] = noise;
      else if ((OPENSSL_STEPS.publicDecrypt(ours.peer, between)[0]! & 0xc0) !== 0) kinds['top bits'] = noise;
      else kinds.later = noise;
    }
    kinds.right = Buffer.from(makeHandshake(theirs, randomBytes).wire);
    kinds['second block'] = Buffer.concat([kinds.right.subarray(0, 256), Buffer.alloc(256, 0xff)]);
    for (const [kind, wire] of Object.entries(kinds)) {
      const steps = counted();
      if (kind === 'right') readHandshake(wire, ours, { steps });
      else
        expect(errorOf(ErrorCode.KEYXCHGFAIL, () => readHandshake(wire, ours, { steps })).data).toEqual({
          check: 'keys',
        });
      expect([kind, steps.operations]).toEqual([kind, ['private', 'public', 'private', 'public']]);
    }
  });

  it('gives the text as printable ASCII up to its NUL', () => {
    const plain = plainHandshake();
    plain.write('a\nb\x7f\xe9!\0secret', 96, 'latin1');
    expect(readHandshake(encryptHandshake(plain, theirs), ours).reason).toBe('a?b??!');
    plain.fill('x', 96, 128);
    expect(readHandshake(encryptHandshake(plain, theirs), ours).reason).toBe('x'.repeat(32));
    plain.write('\0secret', 96, 'latin1');
    expect(readHandshake(encryptHandshake(plain, theirs), ours).reason).toBe('');
    plain.write('x\0', 96, 'latin1');
    expect(readHandshake(encryptHandshake(plain, theirs), ours).reason).toBe('x');
  });
});

describe('a handshake for somebody else', () => {
  const router = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const forRouter = { own: theirs.own, peer: router.publicKey };

  /**
   * What a dishonest router can do with a handshake meant for it: decrypt its layer and encrypt the rest for us, with
   * no key but its own.
   */
  function forward(wire: Uint8Array): Uint8Array {
    const padding = 3; // RSA_NO_PADDING
    return Buffer.concat(
      [0, 256].map((at) => {
        const signed = OPENSSL_STEPS.privateDecrypt(router.privateKey, wire.subarray(at, at + 256));
        return publicEncrypt({ key: theirs.peer, padding }, signed);
      }),
    );
  }

  it('is refused if it names another receiver', () => {
    const { wire } = makeHandshake(forRouter, randomBytes);
    for (const mustBind of [false, true]) {
      const error = errorOf(ErrorCode.KEYXCHGFAIL, () => readHandshake(forward(wire), ours, { mustBind }));
      expect(error.data).toEqual({ check: 'forwarded' });
    }
  });

  it('is refused from a reference, which names no receiver, only where a receiver must be named', () => {
    const wire = forward(encryptHandshake(unboundHandshake(), forRouter));
    expect(readHandshake(wire, ours).session.length).toBe(64);
    const error = errorOf(ErrorCode.KEYXCHGFAIL, () => readHandshake(wire, ours, { mustBind: true }));
    expect(error.data).toEqual({ check: 'unbound' });
  });

  it('our own handshakes are taken where a receiver must be named', () => {
    const { wire, session } = makeHandshake(theirs, randomBytes);
    expect(readHandshake(wire, ours, { mustBind: true }).session).toEqual(session);
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

  it('is refused from a reference only where the peer must name the receiver', () => {
    const wire = encryptHandshake(unboundHandshake(), theirs);
    expect(new Handshake(ours, deps).push(wire)?.rest.length).toBe(0);
    const error = errorOf(ErrorCode.KEYXCHGFAIL, () => new Handshake(ours, deps, { mustBind: true }).push(wire));
    expect(error.data).toEqual({ check: 'unbound' });
  });

  it('takes the bytes one by one, and is never complete with fewer than 512', () => {
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

  it('refuses a handshake that is played back', () => {
    const replays = new ReplayMemory({ rememberMs: 1000, limit: 10 }, { clock: { now: () => 0 } });
    const { wire } = makeHandshake(theirs, randomBytes);
    expect(new Handshake(ours, { random: randomBytes, replays }).push(wire)).not.toBeNull();
    const second = new Handshake(ours, { random: randomBytes, replays });
    expect(errorOf(ErrorCode.KEYXCHGFAIL, () => second.push(wire)).data).toEqual({ check: 'replay' });
  });
});
