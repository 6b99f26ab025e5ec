import { TrafficCounters, TrafficKind } from '@spanmesh/proto/v1/traffic';
import { expect, it } from 'vitest';
import { TrafficRates } from './rates.ts';

function counters(more: Partial<TrafficCounters>): TrafficCounters {
  return TrafficCounters.fromPartial({
    kind: TrafficKind.TRAFFIC_KIND_CONNECTION,
    id: 'gw.1:7',
    gateway: 'gw.1',
    ageMs: 60_000,
    ...more,
  });
}

const bytesIn = (rows: ReturnType<TrafficRates['take']>) => rows.map(({ rates }) => rates?.bytesIn ?? null);

it('divides the difference by the time between the samples, as the gateway has measured it', () => {
  const rates = new TrafficRates();
  expect(bytesIn(rates.take([counters({ bytesIn: 1000 })], 0))).toEqual([null]);
  // The samples were taken in less time than their answers needed to arrive.
  const [row] = rates.take(
    [
      counters({
        bytesIn: 4000,
        bytesOut: 500,
        messagesIn: 20,
        messagesOut: 10,
        transactionsOpened: 5,
        pauses: 1,
        ageMs: 62_500,
      }),
    ],
    3100,
  );
  expect(row?.rates).toEqual({
    bytesIn: 1200,
    bytesOut: 200,
    messagesIn: 8,
    messagesOut: 4,
    transactionsOpened: 2,
    pauses: 0.4,
  });
});

it('divides the counts of a new or restarted row by its own age', () => {
  const rates = new TrafficRates();
  rates.take([counters({ bytesIn: 1_000_000 })], 0);
  const again = counters({ bytesIn: 500, ageMs: 1000 });
  const fresh = counters({ id: 'gw.1:8', bytesIn: 900, ageMs: 1500 });
  expect(bytesIn(rates.take([again, fresh], 2000))).toEqual([500, 600]);
});

it('knows no rate of a row missing in the sample before, nor of one without age', () => {
  const rates = new TrafficRates();
  rates.take([], 0);
  expect(bytesIn(rates.take([counters({ bytesIn: 5 }), counters({ id: 'x', ageMs: 0 })], 2000))).toEqual([null, null]);
  expect(bytesIn(rates.take([counters({ bytesIn: 9, ageMs: 62_000 })], 4000))).toEqual([2]);
});

it('keeps a trunk apart from a class, and one gateway from another', () => {
  const rates = new TrafficRates();
  const trunk = { kind: TrafficKind.TRAFFIC_KIND_TRUNK, id: 'trunk' };
  const routes = { kind: TrafficKind.TRAFFIC_KIND_ROUTE_CLASS, id: 'trunk' };
  const sample = (ageMs: number, factor: number) => [
    counters({ ...trunk, ageMs, bytesIn: 1 * factor }),
    counters({ ...routes, ageMs, bytesIn: 10 * factor }),
    counters({ ...routes, gateway: 'gw.2', ageMs, bytesIn: 100 * factor }),
  ];
  rates.take(sample(1000, 1), 0);
  expect(bytesIn(rates.take(sample(2000, 2), 1000))).toEqual([1, 10, 100]);
});
