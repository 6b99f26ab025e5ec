import type { Endpoint } from '@spanmesh/dmsg/endpoint';
import type { DmsgSocket } from '@spanmesh/dmsg-socket/stream/dmsg-socket';

/**
 * What has passed on a connection, a trunk or a class of routes so far (traffic.proto, TrafficCounters, says what each
 * number means).
 */
export interface TrafficCounts {
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly transactionsOpen: number;
  readonly transactionsOpened: number;
  readonly queueBytes: number;
  readonly pauses: number;
  /** For how long this has been counted. */
  readonly ageMs: number;
}

/** The counts of what has passed on a connection or trunk. */
export function trafficOf(
  { messagesIn, messagesOut, openCount, openedCount }: Endpoint,
  { bytesIn, queue }: DmsgSocket,
  { pauses, ageMs }: { readonly pauses: number; readonly ageMs: number },
): TrafficCounts {
  return {
    messagesIn,
    messagesOut,
    bytesIn,
    bytesOut: queue.bytesOut,
    transactionsOpen: openCount,
    transactionsOpened: openedCount,
    queueBytes: queue.bytes,
    pauses,
    ageMs,
  };
}
