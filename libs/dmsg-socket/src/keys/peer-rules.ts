import type { KeyObject } from 'node:crypto';
import { type AddressBytes, addressBytes } from '../address/numeric-address.ts';
import { masked, type Prefix } from '../address/prefix.ts';

/**
 * Why a peer is refused. not-loopback: there is no keys directory, and the peer is not on this host. no-key: the peer
 * has neither .pub nor .none. bad-key: a file for the peer cannot be used. no-own-key: our own key cannot. revoked:
 * there is a .refused. key-withdrawn: the peer's key was taken away, and only a wider rule would allow plaintext.
 */
export type KeysRefusal = 'not-loopback' | 'no-key' | 'bad-key' | 'no-own-key' | 'revoked' | 'key-withdrawn';

/**
 * The access of a peer. `file`: the file that decided it, relative to the directory; null: there is none for this peer.
 */
export type PeerAccess =
  | {
      readonly kind: 'encrypted';
      readonly file: string;
      /** The private key of this host. */
      readonly own: KeyObject;
      /** The public key of the peer. */
      readonly peer: KeyObject;
      /** false: the stream has no tags, as an operator has asked (protocol.md, "Crypto": Stream). */
      readonly tagged: boolean;
      /**
       * true: the peer must name our key as the receiver's, as an operator has asked (protocol.md, "Crypto":
       * Handshake).
       */
      readonly bound: boolean;
    }
  | { readonly kind: 'plaintext'; readonly file: string }
  | { readonly kind: 'refused'; readonly file: string | null; readonly refusal: KeysRefusal; readonly why: string };

/** The access that the files of one prefix give. */
export interface PrefixRule {
  readonly prefix: Prefix;
  readonly access: PeerAccess;
}

/** Rules of one family, longest prefix first. */
type ByLength = readonly { readonly bits: number; readonly rules: Map<string, PeerAccess> }[];

/**
 * The access of each peer. A prefix with a .refused applies to all of its addresses; otherwise the longest prefix that
 * contains the address decides alone. A file that cannot be used refuses its peers: it does not leave them to a shorter
 * prefix, which may allow plaintext.
 */
export class PeerRules {
  /** By length of the address in bytes; in each, in the order of looking them up. */
  readonly #byFamily: Readonly<Record<number, readonly ByLength[]>>;

  constructor(rules: readonly PrefixRule[]) {
    const revoked = rules.filter(isRevocation);
    const others = rules.filter((rule) => !isRevocation(rule));
    this.#byFamily = {
      4: [byLength(revoked, 4), byLength(others, 4)],
      16: [byLength(revoked, 16), byLength(others, 16)],
    };
  }

  /** @param address numeric; any other text is refused. */
  of(address: string): PeerAccess {
    const bytes = addressBytes(address);
    return bytes === null ? NOBODY : this.#of(bytes);
  }

  #of(address: AddressBytes): PeerAccess {
    for (const byLength of this.#byFamily[address.length] ?? []) {
      for (const { bits, rules } of byLength) {
        const found = rules.get(keyOf(masked(address, bits)));
        if (found !== undefined) return found;
      }
    }
    return NOBODY;
  }
}

/** protocol.md, "Crypto": neither file → refuse. */
const NOBODY: PeerAccess = {
  kind: 'refused',
  file: null,
  refusal: 'no-key',
  why: 'no file in remote/ is named for this address or a prefix of it',
};

/** Whether the rule is made by a .refused, which applies to all addresses of its prefix. */
export function isRevocation({ access }: PrefixRule): boolean {
  return access.kind === 'refused' && access.refusal === 'revoked';
}

function byLength(rules: readonly PrefixRule[], family: 4 | 16): ByLength {
  const lengths = Map.groupBy(
    rules.filter(({ prefix }) => prefix.address.length === family),
    ({ prefix }) => prefix.bits,
  );
  return [...lengths]
    .sort(([a], [b]) => b - a)
    .map(([bits, found]) => ({ bits, rules: new Map(found.map((rule) => [keyOf(rule.prefix.address), rule.access])) }));
}

function keyOf(address: AddressBytes): string {
  return Buffer.from(address).toString('latin1');
}
