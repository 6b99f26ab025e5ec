import type { RefusalReason } from '@spanmesh/proto/v1/gateway_control';

/** Why no leader takes this gateway on: the last refusal. */
export interface AttachRefusal {
  readonly reason: RefusalReason;
  /** The replica that has refused the gateway, `host:port`. */
  readonly by: string;
  /** The reason, a sentence for people. */
  readonly why: string;
  /** What an operator can do. */
  readonly advice: string;
}

/** The stream to the topology leader, as the gateway uses it. */
export interface Attach {
  /** The gateway is attached to a leader at this moment. */
  readonly attached: boolean;
  /** True once a leader has taken this gateway on; until then the gateway is not ready. */
  readonly attachedOnce: boolean;
  /** The last refusal since a leader last took this gateway on; null: none. */
  readonly refused: AttachRefusal | null;
  start(): void;
  stop(): Promise<void>;
}
