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

/** All of them. */
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

const BUSY: Readonly<Record<HandshakesFull, Refusal>> = {
  total: 'too-many-handshakes',
  address: 'too-many-handshakes-from-address',
  'failed-address': 'too-many-failed-handshakes-of-address',
  'failed-key': 'too-many-failed-handshakes-with-key',
};

/** What somebody who is taken gets. */
export type Admitted = Exclude<PeerAccess, { kind: 'refused' }>;

type Encrypted = Extract<PeerAccess, { kind: 'encrypted' }>;

/** Somebody who is not taken; `file` and `why` when the keys decided it. */
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
  /** Who gets what. */
  readonly accessOf: (address: string) => PeerAccess;
  /** Connections, of all kinds. */
  readonly connections: AddressCount;
  /** Those that have been let in, by principal; default: nobody gives way. */
  readonly room?: Pick<Pool<ShareHolder>, 'options' | 'heldBy' | 'most' | 'evictMost'>;
  /** Whether one more handshake may begin. */
  readonly handshakes: { full(address: string, access: Encrypted): HandshakesFull | null };
  /** Whether this process may open one more socket, given how many connections there are; default: it may. */
  readonly files?: { isFull(sockets: number): boolean };
}

/** Who may be connected, in both directions (protocol.md, "Crypto": chosen by the peer's address). */
export class Admission {
  readonly #deps: AdmissionDependencies;
  #closed = false;

  constructor(deps: AdmissionDependencies) {
    this.#deps = deps;
  }

  /** Connections that are taken. */
  get total(): number {
    return this.#deps.connections.total;
  }

  /** Takes one with this address (as `peerAddress` gives it), or says why not. What was taken must be released. */
  admit(address: string): Admitted | NotAdmitted {
    const access = this.look(address);
    if (access.kind === 'refused') return access;
    const { connections, room } = this.#deps;
    // Its socket closes at the end of this turn: until then there is one more.
    if (this.#lacks(address) !== null) room?.evictMost();
    connections.add(address);
    return access;
  }

  /** Why `admit` would not take it; null: it would. */
  refusal(address: string): Refusal | null {
    const access = this.look(address);
    return access.kind === 'refused' ? access.refusal : null;
  }

  /** What `admit` would answer; takes nothing. */
  look(address: string): Admitted | NotAdmitted {
    if (this.#closed) return { kind: 'refused', refusal: 'stopping' };
    const { accessOf, room, handshakes } = this.#deps;
    const access = accessOf(address);
    if (access.kind === 'refused') return access;
    const held = room?.heldBy(principalOf(address, access)) ?? 0;
    if (room !== undefined && held >= room.options.share) return { kind: 'refused', refusal: 'too-many-from-address' };
    const refusal = this.#lacks(address);
    // Whoever has most gives way to who has less.
    const mayTake =
      refusal === null || (refusal !== 'too-many-from-address' && room !== undefined && room.most > held + 1);
    if (!mayTake) return { kind: 'refused', refusal };
    const busy = access.kind === 'encrypted' ? handshakes.full(address, access) : null;
    return busy === null ? access : { kind: 'refused', refusal: BUSY[busy] };
  }

  /** What there is too little of for one more. */
  #lacks(address: string): Refusal | null {
    const { connections, files } = this.#deps;
    const full = connections.full(address);
    if (full !== null) return full === 'total' ? 'too-many' : 'too-many-from-address';
    return files?.isFull(connections.total) === true ? 'file-descriptors' : null;
  }

  /** The socket of one that was taken has closed. */
  release(address: string): void {
    this.#deps.connections.release(address);
  }

  /** Takes no more. */
  close(): void {
    this.#closed = true;
  }
}
