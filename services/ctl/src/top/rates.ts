import type { TrafficCounters } from '@spanmesh/proto/v1/traffic';

/** Rates: the counters' growth per second. */
export type Rates = Pick<
  TrafficCounters,
  'messagesIn' | 'messagesOut' | 'bytesIn' | 'bytesOut' | 'transactionsOpened' | 'pauses'
>;

/** A row of counters; `rates` null: not known yet. */
export interface TrafficRow {
  readonly counters: TrafficCounters;
  readonly rates: Rates | null;
}

/**
 * A row that the sample before did not have counts as new if it is older than the time between the samples by at most
 * this, ms.
 */
const SLACK_MS = 500;

/**
 * Turns counters into rates by comparing each sample with the one before. The counts of a row that is new since then,
 * or was restarted, are divided by its own age.
 */
export class TrafficRates {
  #before = new Map<string, TrafficCounters>();
  #at: number | null = null;

  /** Samples that were taken; rates are known from the second on. */
  samples = 0;

  /** `atMs`: when the sample was asked for, on any monotonic clock. */
  take(sample: readonly TrafficCounters[], atMs: number): TrafficRow[] {
    const elapsedMs = this.#at === null ? null : atMs - this.#at;
    const rows = sample.map((counters) => ({
      counters,
      rates: elapsedMs === null ? null : ratesOf(counters, this.#before.get(keyOf(counters)), elapsedMs),
    }));
    this.#before = new Map(sample.map((counters) => [keyOf(counters), counters]));
    this.#at = atMs;
    this.samples++;
    return rows;
  }
}

function ratesOf(now: TrafficCounters, then: TrafficCounters | undefined, elapsedMs: number): Rates | null {
  const isSame = then !== undefined && then.ageMs <= now.ageMs;
  if (then === undefined && now.ageMs > elapsedMs + SLACK_MS) return null;
  const seconds = (now.ageMs - (isSame ? then.ageMs : 0)) / 1000;
  if (seconds <= 0) return null;
  const rate = (field: keyof Rates): number => Math.max(0, now[field] - (isSame ? then[field] : 0)) / seconds;
  return {
    messagesIn: rate('messagesIn'),
    messagesOut: rate('messagesOut'),
    bytesIn: rate('bytesIn'),
    bytesOut: rate('bytesOut'),
    transactionsOpened: rate('transactionsOpened'),
    pauses: rate('pauses'),
  };
}

function keyOf({ gateway, kind, id }: TrafficCounters): string {
  return `${gateway} ${kind} ${id}`;
}
