import { TrafficKind } from '@spanmesh/proto/v1/traffic';
import type { TrafficRow } from './rates.ts';

/** Messages and bytes per second. */
export interface PassedOn {
  readonly messages: number;
  readonly bytes: number;
}

/**
 * The traffic that all gateways together pass on, each message once: one that goes over a trunk is counted at the
 * gateway from which it leaves. `rows`: those of classes of routes; others are skipped. Null: not known yet.
 */
export function passedOn(rows: readonly TrafficRow[]): PassedOn | null {
  const classes = rows.filter(({ counters }) => counters.kind === TrafficKind.TRAFFIC_KIND_ROUTE_CLASS);
  let isKnown = false;
  let messages = 0;
  let bytes = 0;
  for (const { counters, rates } of classes) {
    if (rates === null) continue;
    isKnown = true;
    const isOut = counters.id !== 'local';
    const isIn = counters.id !== 'trunk';
    messages += (isOut ? rates.messagesOut : 0) + (isIn ? rates.messagesIn : 0);
    bytes += (isOut ? rates.bytesOut : 0) + (isIn ? rates.bytesIn : 0);
  }
  return isKnown ? { messages, bytes } : null;
}
