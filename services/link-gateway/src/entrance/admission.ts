import type { AddressCount } from '@spanmesh/dmsg-socket/address/address-count';
import type { HandshakesFull } from '@spanmesh/dmsg-socket/handshake/handshaker';
import type { KeysRefusal, PeerAccess } from '@spanmesh/dmsg-socket/keys/peer-rules';
import { principalOf } from '@spanmesh/dmsg-socket/keys/principal';
import type { Pool } from '@spanmesh/runtime/shares/pool';
import { isLoopback } from '../address/peer-address.ts';
import type { ShareHolder } from '../shares/gateway-shares.ts';

/** Why a connection is not taken. */
export type Refusal =
  | KeysRefusal
  | 'too-many'
  | 'too-many-from-address'
  | 'too-many-handshakes'
  | 'too-many-handshakes-from-address'
  | 'file-descriptors'
  | 'too-many-failed-handshakes-of-address'
  | 'too-many-failed-handshakes-with-key'
  | 'handshake'
  | 'proxy-header'
  | 'gone'
  | 'stopping';

/** All refusals. */
export const REFUSALS: readonly Refusal[] = [
  'not-loopback',
  'no-key',
  'bad-key',
  'no-own-key',
  'revoked',
  'key-withdrawn',
  'too-many',
  'too-many-from-address',
  'too-many-handshakes',
  'too-many-handshakes-from-address',
  'file-descriptors',
  'too-many-failed-handshakes-of-address',
  'too-many-failed-handshakes-with-key',
  'handshake',
  'proxy-header',
  'gone',
  'stopping',
];

/** The refusal for each limit of handshakes that may be reached. */
const BUSY: Readonly<Record<HandshakesFull, Refusal>> = {
  total: 'too-many-handshakes',
  address: 'too-many-handshakes-from-address',
  'failed-address': 'too-many-failed-handshakes-of-address',
  'failed-key': 'too-many-failed-handshakes-with-key',
};

/** What a peer that is admitted gets: plaintext, or encryption with certain keys. */
export type Admitted = Exclude<PeerAccess, { kind: 'refused' }>;

type Encrypted = Extract<PeerAccess, { kind: 'encrypted' }>;

/** Why a peer is not admitted; `file` and `why` if the keys decided it. */
export interface NotAdmitted {
  readonly kind: 'refused';
  readonly refusal: Refusal;
  readonly file?: string | null;
  readonly why?: string;
}

/** Without keys: plaintext, and only within this host. */
export function loopbackOnly(address: string): PeerAccess {
  if (isLoopback(address)) return { kind: 'plaintext', file: '' };
  return { kind: 'refused', file: null, refusal: 'not-loopback', why: 'there is no keys directory' };
}

export interface AdmissionDependencies {
  /** What the keys give a peer of this address. */
  readonly accessOf: (address: string) => PeerAccess;
  /** Counts the admitted connections, accepted and dialled, by address. */
  readonly connections: AddressCount;
  /** Open connections by principal; default: none is closed to make room. */
  readonly room?: Pick<Pool<ShareHolder>, 'options' | 'heldBy' | 'most' | 'evictMost'>;
  /** Whether one more handshake may begin. */
  readonly handshakes: { full(address: string, access: Encrypted): HandshakesFull | null };
  /** Whether this process may open one more socket, given how many connections there are; default: it may. */
  readonly files?: { isFull(sockets: number): boolean };
}

/** Decides which peers may be connected, accepted or dialled, by their address (protocol.md, "Crypto"). */
export class Admission {
  readonly #deps: AdmissionDependencies;
  #closed = false;

  constructor(deps: AdmissionDependencies) {
    this.#deps = deps;
  }

  /** Connections that are admitted. */
  get total(): number {
    return this.#deps.connections.total;
  }

  /**
   * Admits a connection of this address (as `peerAddress` writes it), or says why not. What is admitted must be
   * released.
   */
  admit(address: string): Admitted | NotAdmitted {
    const access = this.look(address);
    if (access.kind === 'refused') return access;
    const { connections, room } = this.#deps;
    // The socket of the evicted connection closes at the end of this turn: until then there is one more.
    if (this.#lacks(address) !== null) room?.evictMost();
    connections.add(address);
    return access;
  }

  /** Why `admit` would not admit this address; null: it would. */
  refusal(address: string): Refusal | null {
    const access = this.look(address);
    return access.kind === 'refused' ? access.refusal : null;
  }

  /** What `admit` would answer; admits nothing. */
  look(address: string): Admitted | NotAdmitted {
    if (this.#closed) return { kind: 'refused', refusal: 'stopping' };
    const { accessOf, room, handshakes } = this.#deps;
    const access = accessOf(address);
    if (access.kind === 'refused') return access;
    const held = room?.heldBy(principalOf(address, access)) ?? 0;
    if (room !== undefined && held >= room.options.share) return { kind: 'refused', refusal: 'too-many-from-address' };
    const refusal = this.#lacks(address);
    // The principal that has most connections gives way to one that has fewer.
    const mayTake =
      refusal === null || (refusal !== 'too-many-from-address' && room !== undefined && room.most > held + 1);
    if (!mayTake) return { kind: 'refused', refusal };
    const busy = access.kind === 'encrypted' ? handshakes.full(address, access) : null;
    return busy === null ? access : { kind: 'refused', refusal: BUSY[busy] };
  }

  /** The limit that one more connection would exceed; null: none. */
  #lacks(address: string): Refusal | null {
    const { connections, files } = this.#deps;
    const full = connections.full(address);
    if (full !== null) return full === 'total' ? 'too-many' : 'too-many-from-address';
    return files?.isFull(connections.total) === true ? 'file-descriptors' : null;
  }

  /** The socket of a connection that was admitted has closed. */
  release(address: string): void {
    this.#deps.connections.release(address);
  }

  /** Admits no more connections. */
  close(): void {
    this.#closed = true;
  }
}
