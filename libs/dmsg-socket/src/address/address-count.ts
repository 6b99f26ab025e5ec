import { addressPrincipal } from '@spanmesh/runtime/shares/address-principal';

/** Which of the two bounds is reached. */
export type Full = 'total' | 'address';

/** Counts something by the address (IPv6: the /64) that it belongs to, up to a bound in all and a bound for each address. */
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
    if (full === null) this.add(address);
    return full;
  }

  /** Counts one more in any case. */
  add(address: string): void {
    const principal = addressPrincipal(address);
    this.#total++;
    this.#byAddress.set(principal, (this.#byAddress.get(principal) ?? 0) + 1);
  }

  /** What `take` would answer. */
  full(address: string): Full | null {
    if (this.#total >= this.#limits.total) return 'total';
    return (this.#byAddress.get(addressPrincipal(address)) ?? 0) >= this.#limits.perAddress ? 'address' : null;
  }

  release(address: string): void {
    const principal = addressPrincipal(address);
    this.#total--;
    const left = (this.#byAddress.get(principal) ?? 0) - 1;
    if (left <= 0) this.#byAddress.delete(principal);
    else this.#byAddress.set(principal, left);
  }
}
