import { parseHostPort } from '@spanmesh/runtime/address';
import type { Bus } from '@spanmesh/runtime/bus/bus';
import { LEASES_BUCKET, TOPOLOGY_ROLE } from '@spanmesh/runtime/bus/bus-names';
import type { Clock } from '@spanmesh/runtime/clock';
import { LeaseWatch } from '@spanmesh/runtime/lease/lease-watch';
import { MAX_REPLICAS } from '../limits.ts';

export interface TopologyLocatorOptions {
  /** Service ports of topology that an operator has named, `host:port`; read for each attempt. */
  readonly addresses: () => readonly string[];
}

export interface TopologyLocatorDependencies {
  /** Where the lease is; null: nowhere, the addresses are all there is. */
  readonly bus: Bus | null;
  readonly clock: Clock;
}

/**
 * Where the topology leader is: whoever holds the lease; and since the store may be away, or say what was so before, the replicas that
 * the last leader named and the addresses of the setting after it, in turn. One that does not lead says who does. A round asks each once.
 */
export class TopologyLocator {
  readonly #options: TopologyLocatorOptions;
  readonly #deps: TopologyLocatorDependencies;
  readonly #listeners = new Set<() => void>();
  #watch: LeaseWatch | null = null;
  /** Holder of the lease, the last one that the store named: after a release that may be the only one. */
  #leased: string | null = null;
  /** Who leads by what a replica says that does not. */
  #hint: string | null = null;
  /** Who has taken this gateway on last. */
  #leading: string | null = null;
  #replicas: readonly string[] = [];
  /** Those that this round has asked. */
  readonly #asked = new Set<string>();
  #stopped = false;

  constructor(options: TopologyLocatorOptions, deps: TopologyLocatorDependencies) {
    this.#options = options;
    this.#deps = deps;
  }

  /** `host:port` of the leader as far as it is known. */
  address(): string | null {
    return this.#leading ?? this.#leased ?? this.#options.addresses()[0] ?? null;
  }

  /** Whom to ask next to be taken on; null: this round has asked all. */
  next(): string | null {
    const next = this.#candidates().find((one) => !this.#asked.has(one)) ?? null;
    if (next !== null) this.#asked.add(next);
    return next;
  }

  /** This round has asked all that are known. */
  get isExhausted(): boolean {
    return this.#candidates().every((one) => this.#asked.has(one));
  }

  /** Begins another round. */
  again(): void {
    this.#asked.clear();
  }

  /** This one is said to lead, by the lease or by another replica: worth waiting for. */
  isNamed(address: string): boolean {
    return address === this.#leased || address === this.#hint;
  }

  /** A replica has taken this gateway on, and names all that it knows. */
  leads(address: string, replicas: readonly string[]): void {
    this.#leading = address;
    this.#hint = null;
    this.knows(replicas);
    this.again();
  }

  /** What the leader says of the replicas has changed. */
  knows(replicas: readonly string[]): void {
    this.#replicas = replicas.slice(0, MAX_REPLICAS).filter(isAddress);
  }

  /** A replica does not lead; `leader`: who does by what it says, empty if it does not know. */
  doesNotLead(leader: string): void {
    if (isAddress(leader)) this.#hint = leader;
  }

  /** Calls `fn` each time that the lease names another. */
  onChange(fn: () => void): void {
    this.#listeners.add(fn);
  }

  start(): void {
    const { bus } = this.#deps;
    if (bus !== null) void this.#follow(bus);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#watch?.stop();
  }

  #candidates(): string[] {
    const first = [this.#hint, this.#leased, this.#leading].filter((one) => one !== null);
    return [...new Set([...first, ...this.#replicas, ...this.#options.addresses()])];
  }

  async #follow(bus: Bus): Promise<void> {
    const kv = await bus.kv(LEASES_BUCKET);
    if (this.#stopped) return;
    this.#watch = new LeaseWatch({ role: TOPOLOGY_ROLE }, { kv, clock: this.#deps.clock });
    this.#watch.onChange((holder) => {
      if (holder === null || holder.address === this.#leased) return;
      this.#leased = holder.address;
      this.#leading = null;
      this.#hint = null;
      this.again();
      for (const fn of this.#listeners) fn();
    });
    await this.#watch.start();
  }
}

function isAddress(text: string): boolean {
  try {
    parseHostPort(text);
    return true;
  } catch {
    return false;
  }
}
