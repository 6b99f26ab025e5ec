import type { RefusalReason } from '@spanmesh/proto/v1/gateway_control';

/** Why no leader has this gateway: what it was told last. */
export interface AttachRefusal {
  readonly reason: RefusalReason;
  /** Who said so, `host:port`. */
  readonly by: string;
  /** A sentence for people, and what they can do. */
  readonly why: string;
  readonly advice: string;
}

/** The stream to the topology leader, as the gateway uses it. */
export interface Attach {
  /** A leader has this gateway at this moment. */
  readonly attached: boolean;
  /** True once a leader has taken this gateway on: what readiness needs. */
  readonly attachedOnce: boolean;
  /** A leader has refused this gateway since one last took it on. */
  readonly refused: AttachRefusal | null;
  start(): void;
  stop(): Promise<void>;
}
