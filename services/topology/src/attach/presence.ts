import type { Bus, Subscription } from '@spanmesh/runtime/bus/bus';
import { GATEWAYS_BUCKET } from '@spanmesh/runtime/bus/bus-names';
import type { Clock } from '@spanmesh/runtime/clock';
import { type GatewayRecord, GatewayRegistry } from '@spanmesh/runtime/gateways/registry';
import { type Living, type Missed, SignOfLife, SignsOfLife } from '@spanmesh/runtime/gateways/signs-of-life';
import type { GatewayId } from '@spanmesh/spantree/ids';

/**
 * The processes of the installation as the bus shows them: gateways in the registry, and signs of life. Gateways are
 * served without it, too.
 */
export interface Presence {
  /** Whether the registry has been read completely once. */
  readonly isComplete: boolean;
  /** Gateways in the registry, whether they live or not. */
  gateways(): GatewayRecord[];
  get(name: string): GatewayRecord | null;
  /** Removes the entry of a dead gateway from the registry, unless it is another boot's. */
  remove(name: string, boot: string): void;
  /** When the last sign of life of this id came, by our monotonic clock; undefined: never. */
  lastSign(id: GatewayId): number | undefined;
  /**
   * Since when signs of life of any process, including our own, have come without a gap; null: none come at the moment.
   */
  readonly flowingSince: number | null;
  /** The processes of a kind that give signs of life now. */
  living(kind: Living['kind']): readonly Living[];
  /** Processes that gave signs of life, have not said goodbye, and are silent now. */
  missed(): readonly Missed[];
}

/** Presence over a bus, once started. It also gives our own signs of life there. */
export class BusPresence implements Presence {
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #signs: SignsOfLife;
  #own: SignOfLife | undefined;
  #registry: GatewayRegistry | undefined;
  #subscription: Subscription | undefined;

  constructor({ bus, clock }: { bus: Bus; clock: Clock }) {
    this.#bus = bus;
    this.#clock = clock;
    this.#signs = new SignsOfLife({ bus, clock });
  }

  /** `changed`: called when the registry has changed. */
  async start({ self, changed }: { self: () => Living; changed: () => void }): Promise<void> {
    this.#signs.start();
    this.#own = new SignOfLife(self, { bus: this.#bus, clock: this.#clock });
    this.#own.start();
    this.#registry = new GatewayRegistry({ kv: await this.#bus.kv(GATEWAYS_BUCKET), clock: this.#clock });
    this.#subscription = this.#registry.onChange(changed);
    await this.#registry.start();
  }

  async stop(): Promise<void> {
    this.#own?.stop();
    this.#signs.stop();
    this.#subscription?.unsubscribe();
    await this.#registry?.stop();
  }

  get isComplete(): boolean {
    return this.#registry?.isComplete === true;
  }

  gateways(): GatewayRecord[] {
    return this.#registry?.gateways() ?? [];
  }

  get(name: string): GatewayRecord | null {
    return this.#registry?.get(name) ?? null;
  }

  remove(name: string, boot: string): void {
    void this.#registry?.remove(name, boot);
  }

  lastSign(id: GatewayId): number | undefined {
    return this.#signs.lastSign(id);
  }

  get flowingSince(): number | null {
    return this.#signs.flowingSince;
  }

  living(kind: Living['kind']): readonly Living[] {
    return this.#signs.living(kind);
  }

  missed(): readonly Missed[] {
    return this.#signs.missed();
  }
}
