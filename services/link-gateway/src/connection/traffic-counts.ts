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
