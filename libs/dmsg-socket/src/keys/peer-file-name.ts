import { addressBytes } from '../address/numeric-address.ts';
import { type Prefix, prefixOf, wholeAddress } from '../address/prefix.ts';

/**
 * The meaning of a file of `remote/` for the peers that its name contains: `pub` is their public key, `none` allows
 * them plaintext, `refused` keeps them out, whatever other files say. With a `pub` of the same name: `untagged` says
 * that their encrypted stream has no tags, `bound` that their handshakes must name our key, `exponent` that their key
 * may have an unusual public exponent.
 */
export type PeerFileKind = 'pub' | 'none' | 'refused' | PeerOptionKind;

/** Kinds of files that change the meaning of a `pub` of the same name. */
export type PeerOptionKind = (typeof PEER_OPTION_KINDS)[number];
export const PEER_OPTION_KINDS = ['untagged', 'bound', 'exponent'] as const;

export interface PeerFileName {
  readonly prefix: Prefix;
  readonly kind: PeerFileKind;
}

const KINDS = ['pub', 'none', 'refused', ...PEER_OPTION_KINDS];
const NAME = new RegExp(`^([0-9A-Fa-f:.-]{2,60})(?:_([0-9]{1,3}))?\\.(${KINDS.join('|')})$`);

/**
 * Reads the name of a file of `remote/`: ADDRESS.KIND as the reference has it (protocol.md, "Crypto"), or
 * ADDRESS_BITS.KIND for a prefix. In an IPv6 address `-` may be written for `:`, because a Secret's keys cannot have
 * colons: `2001-db8--_32.pub`. An IPv4-mapped address is read as IPv4. null: not such a name.
 */
export function parsePeerFileName(name: string): PeerFileName | null {
  const parts = NAME.exec(name);
  if (parts === null) return null;
  const [, written = '', bits, kind] = parts;
  const address = addressBytes(written.replaceAll('-', ':'));
  if (address === null) return null;
  const prefix = bits === undefined ? wholeAddress(address) : prefixOf(address, bits);
  return prefix === null ? null : { prefix, kind: kind as PeerFileKind };
}
