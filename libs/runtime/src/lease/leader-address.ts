import type { Bus } from '../bus/bus.ts';
import { LEASES_BUCKET } from '../bus/bus-names.ts';
import type { Clock } from '../clock.ts';
import { LeaseWatch } from './lease-watch.ts';

/** Where the leader of another service is, by its lease. */
export class LeaderAddress {
  readonly #role: string;
  readonly #deps: { readonly bus: Bus | null; readonly clock: Clock };
  readonly #changed: () => void;
  #watch: LeaseWatch | null = null;
  #stopped = false;

  /** `bus`: null: there is nobody to ask. `changed`: called when another leads, or nobody. */
  constructor(
    { role, changed }: { readonly role: string; readonly changed: () => void },
    deps: { readonly bus: Bus | null; readonly clock: Clock },
  ) {
    this.#role = role;
    this.#changed = changed;
    this.#deps = deps;
  }

  /** `host:port` of the leader's service port; null: nobody leads by what is known. */
  address(): string | null {
    return this.#watch?.holder()?.address || null;
  }

  /** Does not wait until it is known. A store that is away is asked again. */
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
