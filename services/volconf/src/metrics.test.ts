import { Metrics } from '@spanmesh/runtime/metrics';
import { expect, it } from 'vitest';
import { type MeasuredVolconf, registerMetrics } from './metrics.ts';
import type { Term } from './term.ts';

/** All metrics of volconf with their values; the names without their common prefix. */
async function scraped(volconf: MeasuredVolconf): Promise<Record<string, number>> {
  const metrics = new Metrics();
  registerMetrics(metrics, volconf);
  const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith('spanmesh_volconf_'));
  return Object.fromEntries(
    lines.map((line) => {
      const [name = '', value] = line.split(' ');
      return [name.replace('spanmesh_volconf_', ''), Number(value)];
    }),
  );
}

const totals = () => ({
  attemptsMade: 11,
  attemptsFailed: 12,
  connectionsLost: 13,
  adopted: 14,
  hangups: 15,
  slotsIgnored: 16,
});
const TOTALS = {
  attempts_total: 11,
  attempts_failed_total: 12,
  connections_lost_total: 13,
  adopted_total: 14,
  hangups_total: 15,
  slots_ignored_total: 16,
};

it('of a replica that leads show the contents of its term', async () => {
  const states = ['stopped', 'waiting', 'ready', 'dialling', 'running', 'running'];
  const term = {
    fleet: { size: 2 },
    media: { size: 3, slots: 4 },
    tables: () => ({ slots: 61 }),
    reconciler: { targets: () => states.map((kind) => ({ state: { kind } })), dialling: 5, timers: 6 },
  } as unknown as Term;
  expect(await scraped({ leads: true, epoch: 7, term, api: { watches: 8 }, totals })).toEqual({
    leading: 1,
    epoch: 7,
    gateways: 2,
    media: 3,
    slots: 4,
    'targets{state="stopped"}': 1,
    'targets{state="connect"}': 3,
    'targets{state="running"}': 2,
    'open{table="slots"}': 61,
    dialling: 5,
    waiting: 6,
    watches: 8,
    ...TOTALS,
  });
});

it('of a replica that does not lead show only totals of its earlier terms', async () => {
  expect(await scraped({ leads: false, epoch: 7, term: null, api: { watches: 0 }, totals })).toEqual({
    leading: 0,
    epoch: 7,
    gateways: 0,
    media: 0,
    slots: 0,
    'targets{state="stopped"}': 0,
    'targets{state="connect"}': 0,
    'targets{state="running"}': 0,
    dialling: 0,
    waiting: 0,
    watches: 0,
    ...TOTALS,
  });
});
