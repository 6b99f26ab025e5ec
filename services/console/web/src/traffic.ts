import { type Signal, useSignal } from '@preact/signals';
import { pagesOf } from '@spanmesh/ctl/api/pages';
import { TrafficRates, type TrafficRow } from '@spanmesh/ctl/top/rates';
import type { TrafficCounters, TrafficKind } from '@spanmesh/proto/v1/traffic';
import { useEffect } from 'preact/hooks';
import { topology } from './api.ts';
import { repeat } from './follow.ts';

/** Time between two requests to the gateways, ms, and so the time over which rates are measured. */
const TRAFFIC_MS = 3000;

/** Traffic of one kind: of connections, trunks, or classes of routes. */
export interface Traffic {
  readonly rows: readonly TrafficRow[];
  /** Ids of gateways that did not answer. */
  readonly silentGateways: readonly string[];
}

/** Asks the gateways while the view that uses it is shown. `kind` must not change. */
export function useTraffic(kind: TrafficKind): Signal<Traffic> {
  const traffic = useSignal<Traffic>({ rows: [], silentGateways: [] });
  useEffect(() => {
    const rates = new TrafficRates();
    return repeat(TRAFFIC_MS, async (signal) => {
      const all: TrafficCounters[] = [];
      const silent = new Set<string>();
      const askedAt = performance.now();
      for await (const page of pagesOf((request) => topology.listTraffic({ ...request, kinds: [kind] }, { signal }))) {
        for (const one of page.counters) all.push(one);
        for (const gateway of page.silentGateways) silent.add(gateway);
      }
      traffic.value = { rows: rates.take(all, askedAt), silentGateways: [...silent] };
    });
  }, []);
  return traffic;
}
