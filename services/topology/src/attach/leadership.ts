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

/** Whether this replica may command now, and whether it has heard the gateways that there are. */
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

  /** This replica leads, or is frozen in the middle of leading: gateways' streams and what they told are kept. */
  get inTerm(): boolean {
    return this.#leadingSince !== undefined;
  }

  /** Since when the lease has held without a break, monotonic; undefined: it does not hold now. */
  get leadingSince(): number | undefined {
    return this.valid ? this.#leadingSince : undefined;
  }

  /** Where the replica is that leads, as far as is known; empty: nobody that is known of. */
  get leaderAddress(): string {
    return this.inTerm ? '' : (this.#lease.holder()?.address ?? '');
  }

  /** Why this replica does not answer for the trees, as a sentence that says whom to ask; null if it does. */
  notLeading(): string | null {
    return this.inTerm ? null : notLeading('topology', this.leaderAddress);
  }

  /** The lease holds: synchronously true only while nobody else can lead. */
  get valid(): boolean {
    return this.#lease.isValid();
  }

  /** For how long the lease has not been valid, ms; 0: it is, or this replica does not lead. Another one may lead since then. */
  get frozenMs(): number {
    const since = this.inTerm ? this.#lease.frozenSince : null;
    return since === null ? 0 : Math.max(1, this.#clock.now() - since);
  }

  /** To be told of every change of the lease. True: a term begins. */
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

  /** It leads, or led a moment ago, and has heard the gateways that exist. */
  get settled(): boolean {
    return this.inTerm && this.#haveGathered();
  }

  /** Commands may be given: the lease holds, and every gateway that exists has told its state (or has had its time). */
  mayCommand(): boolean {
    return this.valid && this.#haveGathered();
  }

  /** The term takes the epoch that follows `heard`. Resolves when it has, or when it is over. */
  async raiseEpoch(heard: number): Promise<void> {
    await this.#lease.raiseEpoch(heard + 1);
  }

  /** Lets another replica lead, and does not contend for the lease for the next `ms`. */
  stepDown(ms: number): void {
    this.#lease.stepDown(ms);
  }

  #haveGathered(): boolean {
    if (this.#gathered) return true;
    const hadTime = this.#clock.now() - this.#termSince >= GATHER_MS;
    // That nobody is known yet does not mean that everybody is here.
    const areHere = this.#presence.isComplete && this.#roster.size > 0 && this.#roster.areResolved;
    this.#gathered = hadTime || areHere;
    return this.#gathered;
  }
}
