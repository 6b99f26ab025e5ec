import { constants, type KeyObject, privateDecrypt, publicDecrypt } from 'node:crypto';

/** The RSA operations that read a handshake, without padding. An interface, so that tests can count them. */
export interface RsaSteps {
  /** @throws when the number is not below the modulus. */
  privateDecrypt(key: KeyObject, bytes: Uint8Array): Uint8Array;
  /** @throws when the number is not below the modulus. */
  publicDecrypt(key: KeyObject, bytes: Uint8Array): Uint8Array;
}

/** OpenSSL's operations; OpenSSL blinds the private one. */
export const OPENSSL_STEPS: RsaSteps = {
  privateDecrypt: (key, bytes) => privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, bytes),
  publicDecrypt: (key, bytes) => publicDecrypt({ key, padding: constants.RSA_NO_PADDING }, bytes),
};
