import type { Clock } from '@spanmesh/runtime/clock';
import type { Lease, LeaseState } from '@spanmesh/runtime/lease/lease';
import { notLeading } from '@spanmesh/runtime/lease/not-leading';
import type { Presence } from './presence.ts';
import { GATHER_MS, type Roster } from './roster.ts';

/** The part of the lease that is used here. */
export type LeaseView = Pick<
  Lease,
  'epoch' | 'isValid' | 'raiseEpoch' | 'stepDown' | 'holder' | 'id' | 'holderId' | 'ageMs' | 'frozenSince'
>;

/** Decides whether this replica may command now, and whether all existing gateways have reported to it. */
export class Leadership {
  readonly #lease: LeaseView;
  readonly #presence: Pick<Presence, 'isComplete'>;
  readonly #clock: Clock;
  readonly #roster: Roster;
  #termSince = 0;
  #leadingSince: number | undefined;
  #gathered = false;

  constructor({
    lease,
    presence,
    clock,
    roster,
  }: {
    lease: LeaseView;
    presence: Pick<Presence, 'isComplete'>;
    clock: Clock;
    /** The gateways that a new leader waits for. */
    roster: Roster;
  }) {
    this.#lease = lease;
    this.#presence = presence;
    this.#clock = clock;
    this.#roster = roster;
  }

  get epoch(): number {
    return this.#lease.epoch;
  }

  /** This replica leads, or led until a moment ago and is frozen now. Gateways' streams and objects are kept. */
  get inTerm(): boolean {
    return this.#leadingSince !== undefined;
  }

  /** When the lease became valid for the last time, by the monotonic clock; undefined: it is not valid now. */
  get leadingSince(): number | undefined {
    return this.valid ? this.#leadingSince : undefined;
  }

  /** Address of the replica that leads, as far as known; empty: unknown, or this replica leads. */
  get leaderAddress(): string {
    return this.inTerm ? '' : (this.#lease.holder()?.address ?? '');
  }

  /**
   * Why this replica does not answer for the trees, as a sentence that says which replica to ask; null: it does answer.
   */
  notLeading(): string | null {
    return this.inTerm ? null : notLeading('topology', this.leaderAddress);
  }

  /** Whether the lease holds: true only while no other replica can lead. */
  get valid(): boolean {
    return this.#lease.isValid();
  }

  /**
   * For how long the lease has not been valid, ms; 0: it is valid, or this replica does not lead. Another replica may
   * have led since.
   */
  get frozenMs(): number {
    const since = this.inTerm ? this.#lease.frozenSince : null;
    return since === null ? 0 : Math.max(1, this.#clock.now() - since);
  }

  /** Call with every change of the lease. True: a term begins. */
  changed(state: LeaseState): boolean {
    if (state.kind === 'leading') {
      const now = this.#clock.now();
      const begins = this.#leadingSince === undefined;
      if (begins) {
        this.#termSince = now;
        this.#gathered = false;
      }
      this.#leadingSince = now;
      return begins;
    }
    if (state.kind !== 'frozen') this.#leadingSince = undefined;
    return false;
  }

  /** Whether this replica leads, or led a moment ago, and every existing gateway has reported to it. */
  get settled(): boolean {
    return this.inTerm && this.#haveGathered();
  }

  /**
   * Whether commands may be given: the lease holds, and every existing gateway has reported its objects (or its time is
   * over).
   */
  mayCommand(): boolean {
    return this.valid && this.#haveGathered();
  }

  /** Sets the epoch to the one after `heard`. Resolves when that is done, or the term is over. */
  async raiseEpoch(heard: number): Promise<void> {
    await this.#lease.raiseEpoch(heard + 1);
  }

  /** Lets another replica lead, and does not try to get the lease for the next `ms`. */
  stepDown(ms: number): void {
    this.#lease.stepDown(ms);
  }

  #haveGathered(): boolean {
    if (this.#gathered) return true;
    const hadTime = this.#clock.now() - this.#termSince >= GATHER_MS;
    // An empty roster does not mean that all gateways are here.
    const areHere = this.#presence.isComplete && this.#roster.size > 0 && this.#roster.areResolved;
    this.#gathered = hadTime || areHere;
    return this.#gathered;
  }
}
