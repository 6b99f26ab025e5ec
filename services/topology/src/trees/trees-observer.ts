import type { Cluster, Connection, Link, LnkConn, Node } from '@spanmesh/spantree/tree';
import type { Gateway, RelayGroup } from './gateway.ts';

export type ChangeKind = 'added' | 'changed' | 'removed';

/** Whom Trees tells what has changed. None of these may change the trees. */
export interface TreesObserver {
  clusterChanged(kind: ChangeKind, cluster: Cluster): void;
  nodeChanged(kind: ChangeKind, node: Node): void;
  linkChanged(kind: ChangeKind, link: Link): void;
  connectionChanged(kind: ChangeKind, connection: Connection): void;
  lnkConnChanged(kind: ChangeKind, lnkConn: LnkConn): void;
  /** The gateway can use the links of some other gateway again. */
  reachable(gateway: Gateway): void;
  /** Relays are open, or not open any more, otherwise than by selection: a peer has closed them, or a snapshot says so. */
  relaysChanged(group: RelayGroup): void;
  /** A peer's message that makes no sense. Nothing else happens because of it. */
  nonsense(gateway: Gateway, what: string, data: Readonly<Record<string, string | number>>): void;
}
