import type { Bus } from '../bus/bus.ts';
import { LEASES_BUCKET } from '../bus/bus-names.ts';
import type { Clock } from '../clock.ts';
import { LeaseWatch } from './lease-watch.ts';

/** The address of another service's leader, found by its lease. */
export class LeaderAddress {
  readonly #role: string;
  readonly #deps: { readonly bus: Bus | null; readonly clock: Clock };
  readonly #changed: () => void;
  #watch: LeaseWatch | null = null;
  #stopped = false;

  /** `bus` null: the leader cannot be found. `changed`: called when the leader changes, or there is none any more. */
  constructor(
    { role, changed }: { readonly role: string; readonly changed: () => void },
    deps: { readonly bus: Bus | null; readonly clock: Clock },
  ) {
    this.#role = role;
    this.#changed = changed;
    this.#deps = deps;
  }

  /** `host:port` of the leader's service port; null: no leader is known. */
  address(): string | null {
    return this.#watch?.holder()?.address || null;
  }

  /** Starts without waiting until the leader is known. A store that is away is asked again. */
  async start(): Promise<void> {
    const { bus, clock } = this.#deps;
    if (bus === null) return;
    const kv = await bus.kv(LEASES_BUCKET);
    if (this.#stopped) return;
    this.#watch = new LeaseWatch({ role: this.#role }, { kv, clock });
    this.#watch.onChange(() => this.#changed());
    void this.#watch.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#watch?.stop();
  }
}
