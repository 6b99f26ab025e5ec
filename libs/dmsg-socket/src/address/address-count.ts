/** Which of the two bounds is reached. */
export type Full = 'total' | 'address';

/** Counts something by the address that it belongs to, up to a bound in all and a bound for each address. */
export class AddressCount {
  readonly #limits: { readonly total: number; readonly perAddress: number };
  readonly #byAddress = new Map<string, number>();
  #total = 0;

  constructor(limits: { readonly total: number; readonly perAddress: number }) {
    this.#limits = limits;
  }

  get total(): number {
    return this.#total;
  }

  /** Counts one more, or says why not. What was counted must be released. */
  take(address: string): Full | null {
    const full = this.full(address);
    if (full !== null) return full;
    this.#total++;
    this.#byAddress.set(address, (this.#byAddress.get(address) ?? 0) + 1);
    return null;
  }

  /** What `take` would answer. */
  full(address: string): Full | null {
    if (this.#total >= this.#limits.total) return 'total';
    return (this.#byAddress.get(address) ?? 0) >= this.#limits.perAddress ? 'address' : null;
  }

  release(address: string): void {
    this.#total--;
    const left = this.#byAddress.get(address)! - 1;
    if (left === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, left);
  }
}
