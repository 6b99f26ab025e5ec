import type { ReplicaRole } from '@spanmesh/proto/v1/topology';
import type { Widths } from '@spanmesh/spantree/tree';
import type { History } from './history.ts';
import type { Trees } from './trees.ts';

/** What this replica answers reads from at the moment. */
export interface View {
  readonly trees: Trees;
  readonly history: History;
  readonly widths: Widths;
  readonly role: ReplicaRole;
  /** The greatest age of the trees, ms: 0 at the leader while its lease is valid. */
  readonly lagMs: number;
}
