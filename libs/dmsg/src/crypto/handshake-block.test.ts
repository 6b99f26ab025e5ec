import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../error-code.ts';
import { errorOf } from './error.fixture.ts';
import { encryptBlock, openBlock } from './handshake-block.ts';
import { OPENSSL_STEPS } from './rsa-steps.ts';

const [one, other] = [0, 1].map(() => generateKeyPairSync('rsa', { modulusLength: 2048 })) as [Pair, Pair];

type Pair = ReturnType<typeof generateKeyPairSync>;

/** 256 random bytes whose top two bits are clear. */
function plainBlock(): Buffer {
  const plain = randomBytes(256);
  plain[0] = (plain[0] ?? 0) & 0x3f;
  return plain;
}

/** A private key with the exponent 1: signing leaves a number as it is. */
function idleKey() {
  const jwk = one.privateKey.export({ format: 'jwk' });
  const e = Buffer.from([1]).toString('base64url');
  return createPrivateKey({ format: 'jwk', key: { ...jwk, e, d: e, dp: e, dq: e } });
}

describe('a block of a handshake', () => {
  it('gives its receiver the plain bytes, except for those that were counted up', () => {
    const plain = plainBlock();
    const before = Buffer.from(plain);
    const wire = encryptBlock(plain, { own: one.privateKey, peer: other.publicKey });
    const opened = openBlock(wire, { own: other.privateKey, peer: one.publicKey }, OPENSSL_STEPS);
    expect(opened.wrong).toBe(0);
    expect(Buffer.from(opened.plain)).toEqual(plain);
    expect(plain.subarray(0, 4)).toEqual(before.subarray(0, 4));
    expect(plain.subarray(8)).toEqual(before.subarray(8));
  });

  it('is noise, and marked wrong, with other keys of the receiver or of the sender', () => {
    const wire = encryptBlock(plainBlock(), { own: one.privateKey, peer: other.publicKey });
    const wrong = [
      openBlock(wire, { own: one.privateKey, peer: one.publicKey }, OPENSSL_STEPS),
      openBlock(Buffer.alloc(256, 0xff), { own: other.privateKey, peer: one.publicKey }, OPENSSL_STEPS),
    ];
    expect(wrong[1]?.wrong).not.toBe(0);
    for (const { plain } of wrong) expect(plain).toHaveLength(256);
  });

  // Limits: crypto/handshake-block.ts MAX_TRIES
  it('is given up after 250 tries', () => {
    const fits = Buffer.alloc(256);
    encryptBlock(fits, { own: idleKey(), peer: other.publicKey });
    expect(fits.readUInt32LE(4)).toBe(0);
    const never = Buffer.alloc(256);
    never[0] = 0x40;
    const error = errorOf(ErrorCode.KEYXCHGFAIL, () => encryptBlock(never, { own: idleKey(), peer: other.publicKey }));
    expect(error.data).toEqual({ check: 'tries' });
    expect(never.readUInt32LE(4)).toBe(250);
  });

  it('whose number is above the modulus is refused like one made with other keys', () => {
    const error = errorOf(ErrorCode.KEYXCHGFAIL, () =>
      encryptBlock(Buffer.alloc(256, 0xff), { own: one.privateKey, peer: other.publicKey }),
    );
    expect(error.data).toEqual({ check: 'keys' });
  });
});
