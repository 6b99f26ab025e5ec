import type { Opener, Sealer } from '@spanmesh/dmsg/crypto/cipher';
import { StreamOpener } from '@spanmesh/dmsg/crypto/stream-opener';
import { StreamSealer } from '@spanmesh/dmsg/crypto/stream-sealer';
import { UntaggedOpener, UntaggedSealer } from '@spanmesh/dmsg/crypto/untagged';

/** Both directions of an encrypted connection after its handshake. */
export interface CipherPair {
  readonly sealer: Sealer;
  readonly opener: Opener;
}

/**
 * Each direction is keyed by the material that its sender sent (protocol.md, "Crypto": Stream).
 * @param tagged false: the stream without integrity that some builds of the reference speak.
 */
export function cipherPair(ownSession: Uint8Array, peerSession: Uint8Array, tagged: boolean): CipherPair {
  return tagged
    ? { sealer: new StreamSealer(ownSession), opener: new StreamOpener(peerSession) }
    : { sealer: new UntaggedSealer(ownSession), opener: new UntaggedOpener(peerSession) };
}
