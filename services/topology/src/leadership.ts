import type { Clock } from '@spanmesh/runtime/clock';
import type { Lease, LeaseState } from '@spanmesh/runtime/lease';
import type { GatewayRegistry } from '@spanmesh/runtime/registry';
import { gatewayId } from './gateway.ts';
import type { State } from './state.ts';

/** How long a new leader waits for gateways that it knows to exist before it commands the others (architecture.md, "Attach"). */
export const GATHER_MS = 5000;
/**
 * How long a leader must have led without a break before it believes the registry about a missing gateway: while the store
 * was away nobody could renew an entry. As long as an entry is believed.
 */
export const TRUST_ABSENCE_MS = 5000;

/** Of the lease, what is needed here. */
export type LeaseView = Pick<Lease, 'epoch' | 'isValid' | 'raiseEpoch' | 'holder' | 'id' | 'holderId' | 'ageMs'>;
/** Of the registry, what is needed here. */
export type Presence = Pick<GatewayRegistry, 'gateways' | 'get'>;

interface GatewayName {
  readonly name: string;
  readonly boot: string;
}

/** Whether this replica may command now, and what it may believe about absent gateways. */
export class Leadership {
  readonly #lease: LeaseView;
  readonly #presence: Presence;
  readonly #clock: Clock;
  readonly #state: State;
  readonly #expected: () => Iterable<GatewayName>;
  #termSince = 0;
  #leadingSince: number | undefined;
  #gathered = false;

  /** `expected`: gateways that the leader before had, as far as is known. */
  constructor({
    lease,
    presence,
    clock,
    state,
    expected = () => [],
  }: {
    lease: LeaseView;
    presence: Presence;
    clock: Clock;
    state: State;
    expected?: () => Iterable<GatewayName>;
  }) {
    this.#lease = lease;
    this.#presence = presence;
    this.#clock = clock;
    this.#state = state;
    this.#expected = expected;
  }

  get epoch(): number {
    return this.#lease.epoch;
  }

  /** This replica leads, or is frozen in the middle of leading: gateways' streams and what they told are kept. */
  get inTerm(): boolean {
    return this.#leadingSince !== undefined;
  }

  /** Why this replica does not answer for the trees, as a sentence that says whom to ask; null if it does. */
  notLeading(): string | null {
    if (this.inTerm) return null;
    const holder = this.#lease.holder();
    if (holder === null || holder.address === '') return 'No topology replica leads at the moment: try again.';
    return `This topology replica does not lead: ask the one at ${holder.address}.`;
  }

  /** The lease holds: synchronously true only while nobody else can lead. */
  get valid(): boolean {
    return this.#lease.isValid();
  }

  /** To be told of every change of the lease. */
  changed(state: LeaseState): void {
    if (state.kind === 'leading') {
      const now = this.#clock.now();
      if (this.#leadingSince === undefined) {
        this.#termSince = now;
        this.#gathered = false;
      }
      this.#leadingSince = now;
    } else if (state.kind !== 'frozen') {
      this.#leadingSince = undefined;
    }
  }

  /** It leads, or led a moment ago, and has heard the gateways that exist. */
  get settled(): boolean {
    return this.inTerm && this.#haveGathered();
  }

  /** Commands may be given: the lease holds, and every gateway that exists has told its state (or has had its time). */
  mayCommand(): boolean {
    return this.valid && this.#haveGathered();
  }

  /** The gateway's registry entry has aged out, or is another boot's. */
  isAbsent(name: string, boot: string): boolean {
    const record = this.#presence.get(name);
    if (record !== null) return record.boot !== boot;
    const since = this.#leadingSince;
    return since !== undefined && this.#clock.now() - since >= TRUST_ABSENCE_MS;
  }

  /** The registry shows the gateway. */
  isPresent(name: string, boot: string): boolean {
    return this.#presence.get(name)?.boot === boot;
  }

  /** The term takes the epoch that follows `heard`. Resolves when it has, or when it is over. */
  async raiseEpoch(heard: number): Promise<void> {
    await this.#lease.raiseEpoch(heard + 1);
  }

  #haveGathered(): boolean {
    if (this.#gathered) return true;
    this.#gathered =
      this.#clock.now() - this.#termSince >= GATHER_MS ||
      ([...this.#state.gateways.values()].every((gateway) => gateway.known) &&
        this.#presence.gateways().every((gateway) => this.#isKnown(gateway)) &&
        [...this.#expected()].every((gateway) => this.#isKnown(gateway) || this.#isReplaced(gateway)));
    return this.#gathered;
  }

  #isKnown({ name, boot }: GatewayName): boolean {
    return this.#state.gateways.get(gatewayId(name, boot))?.known === true;
  }

  /** The gateway lives under another boot id: this one will not come. */
  #isReplaced({ name, boot }: GatewayName): boolean {
    const record = this.#presence.get(name);
    return record !== null && record.boot !== boot;
  }
}
