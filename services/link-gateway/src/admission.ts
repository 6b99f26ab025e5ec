/** Why a connection is not taken. */
export type Refusal = 'not-loopback' | 'too-many' | 'too-many-from-address' | 'stopping';

/** The numeric address as peers are known by: an IPv4-mapped IPv6 address as IPv4 (protocol.md, "Crypto"). */
export function peerAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  return mapped === null ? address : mapped[1]!;
}

/** True for 127.0.0.0/8 and ::1, as `peerAddress` gives them. */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address);
}

/**
 * Who may be connected, in both directions. protocol.md, "Crypto": plaintext only where it was allowed; as long as there are
 * no keys that is the loopback.
 */
export class Admission {
  readonly #limits: { readonly total: number; readonly perAddress: number };
  readonly #byAddress = new Map<string, number>();
  #total = 0;
  #closed = false;

  constructor(limits: { readonly total: number; readonly perAddress: number }) {
    this.#limits = limits;
  }

  /** Connections that are taken. */
  get total(): number {
    return this.#total;
  }

  /** Takes one with this address (as `peerAddress` gives it), or says why not. What was taken must be released. */
  admit(address: string): Refusal | null {
    const refusal = this.refusal(address);
    if (refusal !== null) return refusal;
    this.#total++;
    this.#byAddress.set(address, (this.#byAddress.get(address) ?? 0) + 1);
    return null;
  }

  /** What `admit` would answer. */
  refusal(address: string): Refusal | null {
    if (this.#closed) return 'stopping';
    if (!isLoopback(address)) return 'not-loopback';
    if (this.#total >= this.#limits.total) return 'too-many';
    return (this.#byAddress.get(address) ?? 0) >= this.#limits.perAddress ? 'too-many-from-address' : null;
  }

  /** The socket of one that was taken has closed. */
  release(address: string): void {
    this.#total--;
    const left = this.#byAddress.get(address)! - 1;
    if (left === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, left);
  }

  /** Takes no more. */
  close(): void {
    this.#closed = true;
  }
}
