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
  /** The bus whose store has the lease; null: no lease, only the addresses of the setting are known. */
  readonly bus: Bus | null;
  readonly clock: Clock;
}

/**
 * Finds the topology leader. A gateway asks, in rounds, each address once: first the leader that a replica has named,
 * the holder of the lease and the last leader; then, since the store may be away or out of date, the replicas that the
 * last leader named and the addresses of the setting. A replica that does not lead names the leader.
 */
export class TopologyLocator {
  readonly #options: TopologyLocatorOptions;
  readonly #deps: TopologyLocatorDependencies;
  readonly #listeners = new Set<() => void>();
  #watch: LeaseWatch | null = null;
  /** The last holder that the lease named; kept after a release, as it may be the only replica. */
  #leased: string | null = null;
  /** The leader as named by a replica that does not lead. */
  #hint: string | null = null;
  /** The replica that took this gateway on last; null again when the lease names another. */
  #leading: string | null = null;
  #replicas: readonly string[] = [];
  /** Addresses that this round has asked. */
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

  /** The address to ask next; null: this round has asked all. */
  next(): string | null {
    const next = this.#candidates().find((one) => !this.#asked.has(one)) ?? null;
    if (next !== null) this.#asked.add(next);
    return next;
  }

  /** This round has asked all known addresses. */
  get isExhausted(): boolean {
    return this.#candidates().every((one) => this.#asked.has(one));
  }

  /** Begins another round. */
  again(): void {
    this.#asked.clear();
  }

  /** The lease or another replica names this address as leader: its answer is worth a longer wait. */
  isNamed(address: string): boolean {
    return address === this.#leased || address === this.#hint;
  }

  /** The replica at `address` has taken this gateway on, and names all replicas that it knows. */
  leads(address: string, replicas: readonly string[]): void {
    this.#leading = address;
    this.#hint = null;
    this.knows(replicas);
    this.again();
  }

  /** The leader has named the replicas anew. */
  knows(replicas: readonly string[]): void {
    this.#replicas = replicas.slice(0, MAX_REPLICAS).filter(isAddress);
  }

  /** A replica says that it does not lead; `leader`: the leader that it names, empty if it knows none. */
  doesNotLead(leader: string): void {
    if (isAddress(leader)) this.#hint = leader;
  }

  /** Calls `fn` each time that the lease names another holder. */
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
