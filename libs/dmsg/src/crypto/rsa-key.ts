import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';

/** protocol.md, "Crypto": all RSA 2048. */
export const RSA_BITS = 2048;

/**
 * The exponent that every tool uses, the reference's own included. A small exponent makes forging easier, a large one
 * makes each handshake slower.
 */
export const RSA_EXPONENT = 65537n;
/** The largest exponent that can be allowed: an operation takes twice as long as with the usual one. */
export const MAX_RSA_EXPONENT = 2n ** 32n;

/**
 * This host's private key, from PKCS#1 or PKCS#8 PEM (protocol.md, "Crypto").
 * @param pem null: there is no such file.
 * @throws DmsgError NOLKEY: no key; KEYFMT: something else, or not RSA of 2048 bits, or its public exponent is not
 * 65537. Neither says anything of the content.
 */
export function ownPrivateKey(pem: string | null): KeyObject {
  if (pem === null || pem.trim() === '') throw new DmsgError(ErrorCode.NOLKEY, 'no private key of this host');
  return checked('own private key', pem, /^\s*-----BEGIN (RSA )?PRIVATE KEY-----/, createPrivateKey, false);
}

/**
 * A peer's public key, from SPKI PEM (protocol.md, "Crypto"). A private key there is refused: it is in the wrong place.
 * @param pem null: there is no such file.
 * @param anyExponent true: public exponents other than 65537 are taken, up to 2^32.
 * @throws DmsgError NORKEY: no key; KEYFMT: something else, or not RSA of 2048 bits, or with another exponent.
 */
export function peerPublicKey(pem: string | null, anyExponent = false): KeyObject {
  if (pem === null || pem.trim() === '') throw new DmsgError(ErrorCode.NORKEY, 'no public key of the peer');
  return checked("peer's public key", pem, /^\s*-----BEGIN PUBLIC KEY-----/, createPublicKey, anyExponent);
}

function checked(
  which: string,
  pem: string,
  label: RegExp,
  parse: (pem: string) => KeyObject,
  anyExponent: boolean,
): KeyObject {
  if (!label.test(pem)) throw new DmsgError(ErrorCode.KEYFMT, `${which}: not the expected kind of PEM`);
  let key: KeyObject;
  try {
    key = parse(pem);
  } catch {
    // The cause is left out: OpenSSL's text about a private key does not belong in a log.
    throw new DmsgError(ErrorCode.KEYFMT, `${which}: cannot be read`);
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (key.asymmetricKeyType !== 'rsa' || bits !== RSA_BITS) {
    throw new DmsgError(ErrorCode.KEYFMT, `${which}: not RSA of 2048 bits`, {
      type: key.asymmetricKeyType ?? 'unknown',
      bits,
    });
  }
  const exponent = key.asymmetricKeyDetails?.publicExponent ?? 0n;
  const isTaken = exponent === RSA_EXPONENT || (anyExponent && exponent >= 3n && exponent <= MAX_RSA_EXPONENT);
  if (!isTaken) {
    const allowed = anyExponent ? `between 3 and ${MAX_RSA_EXPONENT}` : String(RSA_EXPONENT);
    throw new DmsgError(ErrorCode.KEYFMT, `${which}: its public exponent is not ${allowed}`);
  }
  return key;
}
