import { constants, type KeyObject, privateDecrypt, publicDecrypt } from 'node:crypto';

/** The RSA operations by which a handshake is read, without padding; tests count them. */
export interface RsaSteps {
  /** @throws when the number is not below the modulus. */
  privateDecrypt(key: KeyObject, bytes: Uint8Array): Uint8Array;
  /** @throws when the number is not below the modulus. */
  publicDecrypt(key: KeyObject, bytes: Uint8Array): Uint8Array;
}

/** Those of OpenSSL, which blinds private operations. */
export const OPENSSL_STEPS: RsaSteps = {
  privateDecrypt: (key, bytes) => privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, bytes),
  publicDecrypt: (key, bytes) => publicDecrypt({ key, padding: constants.RSA_NO_PADDING }, bytes),
};
