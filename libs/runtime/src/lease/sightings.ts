import type { Clock } from '../clock.ts';
import type { LeaseRecord } from './lease-record.ts';
import type { Stored } from './lease-store.ts';

/** Part of the ttl without an answer that counts as a gap: one look that fails, or is late, does not. */
const GAP_PART = 0.75;

/**
 * Whose settings differ from the holder's waits this many ttl for a record that ages, and one for a record that was given back: a replica
 * that has the holder's settings is faster then (docs/decisions/006-epochs-and-leases.md).
 */
const OTHER_SETTINGS_TTLS = 3;

/** What the store showed last of others' records; `since` is when it showed it first, on our clock. */
interface Seen {
  readonly revision: number;
  readonly record: LeaseRecord | null;
  readonly since: number;
}

/** What a contender has seen of the records of others, and for how long. */
export class Sightings {
  readonly #ttlMs: number;
  readonly #clock: Clock;
  #seen: Seen | null = null;
  /** When the store answered a look last, and since when it has done so without a gap. */
  #answeredAt = Number.NEGATIVE_INFINITY;
  #answersSince = Number.NEGATIVE_INFINITY;
  /** Whether there has ever been a record: an empty store is then a lost one, and a holder may be out there. */
  #sawRecord = false;

  constructor({ ttlMs }: { ttlMs: number }, { clock }: { clock: Clock }) {
    this.#ttlMs = ttlMs;
    this.#clock = clock;
  }

  /** The record of another contender; null: there is none, or the record is ours. */
  get record(): LeaseRecord | null {
    return this.#seen?.record ?? null;
  }

  /** When it was seen first; undefined: nothing has been seen, or the record is ours. */
  get since(): number | undefined {
    return this.#seen?.since;
  }

  /** Revision to take the lease over, null: where nothing ever was. */
  get revision(): number | null {
    return this.#seen === null || this.#seen.revision === 0 ? null : this.#seen.revision;
  }

  /**
   * The store has answered. While it did not its holder could hardly renew either: then the holder has a whole ttl again. Otherwise a
   * store that comes back (NATS that has elected anew) would hand the lease to the first who asks.
   */
  answered({ revision }: Stored): void {
    const now = this.#clock.now();
    if (now - this.#answeredAt > this.#ttlMs * GAP_PART) this.#answersSince = now;
    this.#answeredAt = now;
    if (revision !== 0) this.#sawRecord = true;
  }

  /** The store has shown a record that is not ours. */
  note({ revision, record }: Stored): void {
    const last = this.#seen;
    if (last !== null && last.revision === revision && isSame(last.record, record)) return;
    this.#seen = { revision, record, since: this.#clock.now() };
  }

  /** The record is ours now. */
  isOurs(): void {
    this.#sawRecord = true;
    this.#seen = null;
  }

  /** Whether the record that was seen can be replaced by ours. `differs`: its settings are others than ours. */
  mayTake({ differs }: { differs: boolean }): boolean {
    const seen = this.#seen;
    if (seen === null) return false;
    if (seen.revision === 0 && !this.#sawRecord) return true;
    const isReleased = seen.record?.holder === '';
    if (isReleased && !differs) return true;
    // A holder with a longer ttl than ours trusts its renewals for longer.
    const ttl = Math.max(this.#ttlMs, seen.record?.ttl ?? 0);
    const wait = differs && !isReleased ? OTHER_SETTINGS_TTLS * ttl : ttl;
    return this.#clock.now() - Math.max(seen.since, this.#answersSince) >= wait;
  }
}

/** Revisions alone do not tell: a store that was restored from a copy gives them again. */
function isSame(one: LeaseRecord | null, other: LeaseRecord | null): boolean {
  return one?.holder === other?.holder && one?.beat === other?.beat;
}
