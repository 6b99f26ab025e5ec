import { addressPrincipal } from '@spanmesh/runtime/shares/address-principal';

/** Which of an AddressCount's two limits is reached. */
export type Full = 'total' | 'address';

/**
 * Counts things by the address (IPv6: the /64) that they belong to, up to a limit in all and a limit for each address.
 */
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

  /** Counts one more for the address, or says which limit forbids it. The caller releases what was counted. */
  take(address: string): Full | null {
    const full = this.full(address);
    if (full === null) this.add(address);
    return full;
  }

  /** Counts one more for the address, even beyond the limits. */
  add(address: string): void {
    const principal = addressPrincipal(address);
    this.#total++;
    this.#byAddress.set(principal, (this.#byAddress.get(principal) ?? 0) + 1);
  }

  /** The result that `take` would have, without counting. */
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
