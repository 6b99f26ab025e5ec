import type { Clock } from '../clock.ts';
import type { LeaseRecord } from './lease-record.ts';
import type { Stored } from './lease-store.ts';

/** Part of the ttl without an answer that counts as a gap: one read that fails, or is late, does not. */
const GAP_PART = 0.75;

/**
 * A contender whose settings differ from the holder's waits this many ttl for a record that ages, and one ttl for a
 * released record. So a replica with the holder's settings is faster (docs/decisions/006-epochs-and-leases.md).
 */
const OTHER_SETTINGS_TTLS = 3;

/** The last record of another contender that the store showed, and when it first did, on our clock (`since`). */
interface Seen {
  readonly revision: number;
  readonly record: LeaseRecord | null;
  readonly since: number;
}

/** The records of other contenders that this one has seen, and for how long. */
export class Sightings {
  readonly #ttlMs: number;
  readonly #clock: Clock;
  #seen: Seen | null = null;
  /** When the store last answered a read, and since when it has answered without a gap. */
  #answeredAt = Number.NEGATIVE_INFINITY;
  #answersSince = Number.NEGATIVE_INFINITY;
  /** Whether there has ever been a record: if so, an empty store has lost it, and a holder may still be valid. */
  #sawRecord = false;

  constructor({ ttlMs }: { ttlMs: number }, { clock }: { clock: Clock }) {
    this.#ttlMs = ttlMs;
    this.#clock = clock;
  }

  /** The record of another contender; null: there is none, or the record is ours. */
  get record(): LeaseRecord | null {
    return this.#seen?.record ?? null;
  }

  /** When that record was seen first; undefined: none was seen, or the record is ours. */
  get since(): number | undefined {
    return this.#seen?.since;
  }

  /** The revision over which the lease may be taken; null: there was never a record. */
  get revision(): number | null {
    return this.#seen === null || this.#seen.revision === 0 ? null : this.#seen.revision;
  }

  /**
   * Notes that the store has answered. While the store did not answer, the holder could hardly renew either, so the
   * holder gets a whole ttl again. Otherwise, when a store returns (NATS after an election), the first contender that
   * asks would get the lease.
   */
  answered({ revision }: Stored): void {
    const now = this.#clock.now();
    if (now - this.#answeredAt > this.#ttlMs * GAP_PART) this.#answersSince = now;
    this.#answeredAt = now;
    if (revision !== 0) this.#sawRecord = true;
  }

  /** Notes a record of the store that is not ours. */
  note({ revision, record }: Stored): void {
    const last = this.#seen;
    if (last !== null && last.revision === revision && isSame(last.record, record)) return;
    this.#seen = { revision, record, since: this.#clock.now() };
  }

  /** Notes that the record is ours. */
  isOurs(): void {
    this.#sawRecord = true;
    this.#seen = null;
  }

  /** Whether our record may replace the one that was seen. `differs`: its settings are not ours. */
  mayTake({ differs }: { differs: boolean }): boolean {
    const seen = this.#seen;
    if (seen === null) return false;
    if (seen.revision === 0 && !this.#sawRecord) return true;
    const isReleased = seen.record?.holder === '';
    if (isReleased && !differs) return true;
    // A holder with a longer ttl than ours counts on its renewals for longer.
    const ttl = Math.max(this.#ttlMs, seen.record?.ttl ?? 0);
    const wait = differs && !isReleased ? OTHER_SETTINGS_TTLS * ttl : ttl;
    return this.#clock.now() - Math.max(seen.since, this.#answersSince) >= wait;
  }
}

/**
 * Whether two records are the same one. Revisions alone do not show it: a store restored from a copy gives them again.
 */
function isSame(one: LeaseRecord | null, other: LeaseRecord | null): boolean {
  return one?.holder === other?.holder && one?.beat === other?.beat;
}
