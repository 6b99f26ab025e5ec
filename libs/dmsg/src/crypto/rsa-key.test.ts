import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../error-code.ts';
import { errorOf, expectNoSecrets } from './error.fixture.ts';
import { MAX_RSA_EXPONENT, ownPrivateKey, peerPublicKey } from './rsa-key.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const spki = publicKey.export({ type: 'spki', format: 'pem' }) as string;
const pkcs1 = privateKey.export({ type: 'pkcs1', format: 'pem' }) as string;
const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
const short = generateKeyPairSync('rsa', { modulusLength: 1024 });
const curve = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 });

describe('own private key', () => {
  it.each([pkcs1, pkcs8, `\n${pkcs8}`])('is read from PKCS#1 and PKCS#8', (pem) => {
    expect(ownPrivateKey(pem).equals(privateKey)).toBe(true);
  });

  it.each([null, '', ' \n'])('is NOLKEY when there is none: %j', (pem) => {
    errorOf(ErrorCode.NOLKEY, () => ownPrivateKey(pem));
  });

  it('is KEYFMT when it is something else, and the error contains no part of it', () => {
    const secret = Buffer.from(pkcs8.split('\n')[5]!, 'latin1');
    const damaged = pkcs8.replace(pkcs8.split('\n')[2]!, '!'.repeat(64));
    const encrypted = privateKey.export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'x',
    }) as string;
    for (const pem of [
      'hello',
      spki,
      damaged,
      pkcs8.slice(0, 400),
      encrypted,
      ...[short, curve, pss].map((pair) => pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string),
    ]) {
      expectNoSecrets(
        errorOf(ErrorCode.KEYFMT, () => ownPrivateKey(pem)),
        [secret],
      );
    }
  });
});

describe("peer's public key", () => {
  it('is read from SPKI', () => {
    expect(peerPublicKey(spki).equals(publicKey)).toBe(true);
  });

  it.each([null, '', ' \n'])('is NORKEY when there is none: %j', (pem) => {
    errorOf(ErrorCode.NORKEY, () => peerPublicKey(pem));
  });

  it('is KEYFMT when it is something else, even a private key', () => {
    for (const pem of [
      'hello',
      pkcs1,
      pkcs8,
      publicKey.export({ type: 'pkcs1', format: 'pem' }) as string,
      spki.slice(0, 200),
      ...[short, curve, pss].map((pair) => pair.publicKey.export({ type: 'spki', format: 'pem' }) as string),
    ]) {
      errorOf(ErrorCode.KEYFMT, () => peerPublicKey(pem));
    }
  });

  it('tells the size of a key that is too short', () => {
    const pem = short.publicKey.export({ type: 'spki', format: 'pem' }) as string;
    expect(errorOf(ErrorCode.KEYFMT, () => peerPublicKey(pem)).data).toEqual({ type: 'rsa', bits: 1024 });
  });

  it('is KEYFMT with another exponent than 65537, unless others are allowed, and then within bounds', () => {
    const small = exponentKey(3);
    errorOf(ErrorCode.KEYFMT, () => peerPublicKey(small.pub));
    expect(peerPublicKey(small.pub, true).asymmetricKeyDetails?.publicExponent).toBe(3n);
    errorOf(ErrorCode.KEYFMT, () => ownPrivateKey(small.prv));
    // The modulus of a good key, with an exponent of 2046 bits: a public operation with it takes as long as a private
    // one.
    const { n, kty } = publicKey.export({ format: 'jwk' });
    const e = Buffer.alloc(256, 0x33).fill(0x21, 255).toString('base64url');
    const slow = createPublicKey({ format: 'jwk', key: { kty: kty!, n: n!, e } });
    for (const allowed of [false, true]) {
      const pem = slow.export({ type: 'spki', format: 'pem' }) as string;
      errorOf(ErrorCode.KEYFMT, () => peerPublicKey(pem, allowed));
    }
  });

  // Limits: crypto/rsa-key.ts MAX_RSA_EXPONENT
  it('has an exponent from 3 up to 2^32, where any is allowed', () => {
    const withExponent = (exponent: bigint): string => {
      const { n, kty } = publicKey.export({ format: 'jwk' });
      const hex = exponent.toString(16);
      const e = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url');
      const key = createPublicKey({ format: 'jwk', key: { kty: kty!, n: n!, e } });
      return key.export({ type: 'spki', format: 'pem' }) as string;
    };
    for (const exponent of [3n, MAX_RSA_EXPONENT - 1n, MAX_RSA_EXPONENT]) {
      const { asymmetricKeyDetails } = peerPublicKey(withExponent(exponent), true);
      expect(asymmetricKeyDetails?.publicExponent).toBe(exponent);
    }
    for (const exponent of [1n, 2n, MAX_RSA_EXPONENT + 1n]) {
      errorOf(ErrorCode.KEYFMT, () => peerPublicKey(withExponent(exponent), true));
    }
  });
});

function exponentKey(publicExponent: number): { pub: string; prv: string } {
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent });
  return {
    pub: pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    prv: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
