import { networkInterfaces } from 'node:os';
import { DMSG_PORT } from '@spanmesh/dmsg/peer-target';
import { type AddressBytes, addressBytes } from '@spanmesh/dmsg-socket/address/numeric-address';
import { contains, type Prefix, parsePrefix } from '@spanmesh/dmsg-socket/address/prefix';
import type { DialRule } from '../address/dial-rule.ts';

/** What peers may have us connect to without a setting: the port of DMSG (protocol.md, introduction). */
const ALWAYS: DialRule = { prefix: null, port: DMSG_PORT };

/**
 * Never allowed, whatever the setting says: unspecified, link-local, site-local, multicast and reserved addresses.
 * Clouds give a host's secrets away at some of these, and at addresses of their own.
 */
const FORBIDDEN = prefixes(
  '0.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/3',
  '::/128',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
  // Metadata services of AWS (IPv6), Alibaba, Azure, Oracle.
  'fd00:ec2::254',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
);
/** Loopback and IPv4-compatible addresses: allowed only if a rule names them; `*` leaves them out. */
const LOCAL = prefixes('127.0.0.0/8', '::/16');
/** IPv6 whose last 32 bits are an IPv4 address (RFC 6052). */
const NAT64 = parsePrefix('64:ff9b::/96');
/** IPv6 whose bits 16 to 47 are an IPv4 address (RFC 3056). */
const SIX_TO_FOUR = parsePrefix('2002::/16');

/**
 * Decides where peers may have this gateway connect to: otherwise a peer with a debug shell could explore our network
 * from our address.
 */
export class DialPolicy {
  readonly #rules: readonly DialRule[];
  readonly #ownPorts: () => Iterable<number>;

  /** `ownPorts`: all ports on which this process listens. */
  constructor({ allow }: { readonly allow: readonly DialRule[] }, { ownPorts }: { ownPorts: () => Iterable<number> }) {
    this.#rules = [ALWAYS, ...allow];
    this.#ownPorts = ownPorts;
  }

  /** No address is allowed at this port: the name need not be looked up. */
  forbidsPort(port: number): boolean {
    return !this.#rules.some((rule) => rule.port === null || rule.port === port);
  }

  /** `address`: numeric, as it is going to be connected to. */
  allows(address: string, port: number): boolean {
    const bytes = addressBytes(address);
    if (bytes === null || isForbidden(bytes)) return false;
    const isLocal = isIn(LOCAL, bytes);
    const isListed = this.#rules.some(
      (rule) =>
        (rule.port === null || rule.port === port) && (rule.prefix === null ? !isLocal : contains(rule.prefix, bytes)),
    );
    return isListed && !(this.#isOwnPort(port) && (isLocal || isOwnAddress(bytes)));
  }

  #isOwnPort(port: number): boolean {
    for (const own of this.#ownPorts()) if (own === port) return true;
    return false;
  }
}

/** The address is forbidden, or the IPv4 address that it leads to by NAT64 or 6to4 is. */
function isForbidden(address: AddressBytes): boolean {
  if (isIn(FORBIDDEN, address)) return true;
  const inner = contains(NAT64, address)
    ? address.subarray(12)
    : contains(SIX_TO_FOUR, address)
      ? address.subarray(2, 6)
      : null;
  return inner !== null && (isIn(FORBIDDEN, inner) || isIn(LOCAL, inner));
}

/** An address of this host. Read at each dial: interfaces come and go. */
function isOwnAddress(address: AddressBytes): boolean {
  for (const interfaces of Object.values(networkInterfaces())) {
    for (const own of interfaces ?? []) {
      const bytes = addressBytes(own.address);
      if (bytes !== null && Buffer.compare(bytes, address) === 0) return true;
    }
  }
  return false;
}

function prefixes(...texts: string[]): readonly Prefix[] {
  return texts.map(parsePrefix);
}

function isIn(all: readonly Prefix[], address: AddressBytes): boolean {
  return all.some((prefix) => contains(prefix, address));
}
