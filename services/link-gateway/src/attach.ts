import type { StateChange } from '@spanmesh/proto/v1/gateway_control';

/** Where handlers report what happens on the wire: append to `delta`, then `touch`. `delta` changes identity when it is sent. */
export interface Deltas {
  readonly delta: StateChange;
  touch(): void;
}

/** The stream to the topology leader, as the gateway uses it. */
export interface Attach extends Deltas {
  /** True once a leader has taken this gateway on: what readiness needs. */
  readonly attachedOnce: boolean;
  start(): void;
  stop(): Promise<void>;
}
