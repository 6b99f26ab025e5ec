import { formatHostPort, type HostPort } from '@spanmesh/runtime/address';
import type { Bus } from '@spanmesh/runtime/bus';
import { LEASES_BUCKET, TOPOLOGY_ROLE } from '@spanmesh/runtime/bus-names';
import type { Clock } from '@spanmesh/runtime/clock';
import { LeaseWatch } from '@spanmesh/runtime/lease-watch';

/** Where the topology leader is. */
export interface TopologyLocator {
  /** `host:port` of its service port as far as it is known. */
  address(): string | null;
  /** Called when another leads. */
  onChange(fn: () => void): void;
  start(): void;
  stop(): Promise<void>;
}

/** One that an operator has named. */
export function fixedTopology(at: HostPort): TopologyLocator {
  const address = formatHostPort(at);
  return { address: () => address, onChange: () => {}, start: () => {}, stop: async () => {} };
}

/** Whoever holds the lease. Without the store the last one that it named; a gateway does not wait for the store. */
export class LeasedTopology implements TopologyLocator {
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  #watch: LeaseWatch | null = null;
  #address: string | null = null;
  #stopped = false;

  constructor({ bus, clock }: { bus: Bus; clock: Clock }) {
    this.#bus = bus;
    this.#clock = clock;
  }

  address(): string | null {
    return this.#address;
  }

  onChange(fn: () => void): void {
    this.#listeners.add(fn);
  }

  start(): void {
    void this.#start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#watch?.stop();
  }

  async #start(): Promise<void> {
    const kv = await this.#bus.kv(LEASES_BUCKET);
    if (this.#stopped) return;
    this.#watch = new LeaseWatch({ role: TOPOLOGY_ROLE }, { kv, clock: this.#clock });
    this.#watch.onChange((holder) => {
      // One that has released the lease may be the only one: it is asked until another is named.
      if (holder === null || holder.address === this.#address) return;
      this.#address = holder.address;
      for (const fn of this.#listeners) fn();
    });
    await this.#watch.start();
  }
}
