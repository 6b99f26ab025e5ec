import type { Metrics } from '../metrics.ts';

/** The fates of the steps of a process's traces. All 0 without traces. */
export class TraceCounts {
  /** The collector has taken them. */
  sent = 0;
  /** Dropped, because as many as OTEL_BSP_MAX_QUEUE_SIZE were waiting to be sent. */
  queueFull = 0;
  /** Dropped, because the collector did not take them: it refused them, failed, or could not be reached. */
  notTaken = 0;

  register(metrics: Metrics): void {
    metrics.counter(
      'spanmesh_trace_parts_sent_total',
      'Parts of traces that the collector has taken.',
      () => this.sent,
    );
    metrics.counter(
      'spanmesh_trace_parts_lost_total',
      'Parts of traces that the collector does not get: too many waited to be sent, or it did not take them.',
      () => ({ queue_full: this.queueFull, not_taken: this.notTaken }),
      'reason',
    );
  }
}
