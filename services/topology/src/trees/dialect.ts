import { type ClusterKey as ProtoClusterKey, Dialect as ProtoDialect } from '@spanmesh/proto/v1/types';
import type { ClusterKey, Dialect } from '@spanmesh/spantree/tree';

export function protoDialect(dialect: Dialect): ProtoDialect {
  return dialect === 'linkid' ? ProtoDialect.DIALECT_LINKID : ProtoDialect.DIALECT_CIRCUIT;
}

/** Undefined for what is no dialect. */
export function dialectOf(dialect: ProtoDialect): Dialect | undefined {
  if (dialect === ProtoDialect.DIALECT_LINKID) return 'linkid';
  return dialect === ProtoDialect.DIALECT_CIRCUIT ? 'circuit' : undefined;
}

/** For a key without fault (cluster-key.ts). */
export function treeClusterKey({ dialect, id, peerType, peerLabel }: ProtoClusterKey): ClusterKey {
  return { dialect: dialectOf(dialect)!, clusterId: id, peerType, peerLabel };
}
