import type { Metrics } from '@spanmesh/runtime/metrics';
import { visible } from './reconciler/target.ts';
import type { Term } from './term.ts';

/** Counts over all terms of a replica. */
export interface Totals {
  readonly attemptsMade: number;
  readonly attemptsFailed: number;
  readonly connectionsLost: number;
  readonly adopted: number;
  readonly hangups: number;
  readonly slotsIgnored: number;
}

/** The values that the gauges read. */
export interface MeasuredVolconf {
  readonly leads: boolean;
  readonly epoch: number;
  /** The current term; null: this replica does not lead. */
  readonly term: Term | null;
  readonly api: { readonly watches: number };
  totals(): Totals;
}

/**
 * Registers the metrics of volconf. All values are read when they are scraped; gauges are zero where this replica does
 * not lead.
 */
export function registerMetrics(metrics: Metrics, volconf: MeasuredVolconf): void {
  const name = (rest: string) => `spanmesh_volconf_${rest}`;
  const totals = () => volconf.totals();
  metrics.gauge(name('leading'), '1 if this replica leads.', () => (volconf.leads ? 1 : 0));
  metrics.gauge(name('epoch'), 'Epoch that this replica leads or led under.', () => volconf.epoch);
  metrics.gauge(name('gateways'), 'Gateways that exist, as far as is known.', () => volconf.term?.fleet.size ?? 0);
  metrics.gauge(name('media'), 'Media that have a LNK_CONN.', () => volconf.term?.media.size ?? 0);
  metrics.gauge(name('slots'), 'Slots of all media.', () => volconf.term?.media.slots ?? 0);
  metrics.gauge(
    name('targets'),
    'Targets by state.',
    () => {
      const counts = { stopped: 0, connect: 0, running: 0 };
      for (const { state } of volconf.term?.reconciler.targets() ?? []) counts[visible(state.kind)]++;
      return counts;
    },
    'state',
  );
  metrics.gauge(
    name('open'),
    'Entries of each table; none where it does not lead.',
    () => volconf.term?.tables() ?? {},
    'table',
  );
  metrics.gauge(name('dialling'), 'Attempts under way.', () => volconf.term?.reconciler.dialling ?? 0);
  metrics.gauge(name('waiting'), 'Targets that wait for a time.', () => volconf.term?.reconciler.timers ?? 0);
  metrics.gauge(name('watches'), 'Watches of targets.', () => volconf.api.watches);
  metrics.counter(name('attempts_total'), 'Attempts to connect.', () => totals().attemptsMade);
  metrics.counter(name('attempts_failed_total'), 'Attempts that failed.', () => totals().attemptsFailed);
  metrics.counter(
    name('connections_lost_total'),
    'Connections that stood and were lost.',
    () => totals().connectionsLost,
  );
  metrics.counter(name('adopted_total'), 'Connections taken over from an earlier leader.', () => totals().adopted);
  metrics.counter(name('hangups_total'), 'Hang-ups ordered.', () => totals().hangups);
  metrics.counter(name('slots_ignored_total'), 'LNK_VOLCONFs ignored.', () => totals().slotsIgnored);
}
