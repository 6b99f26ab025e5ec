import { NodeSelector } from '../gen/spanmesh/v1/messaging.ts';
import { ClusterKey, Dialect, type NodeKey } from '../gen/spanmesh/v1/types.ts';
import { DIALECT_WORDS, dialectOf, hasLabels, NO_SUCH_DIALECT } from './dialect.ts';

/** Largest label in characters: a field of 128 bytes with its NUL (types.proto; protocol.md, "Payloads"). */
export const MAX_LABEL_CHARS = 127;
/** Highest peer_type (protocol.md, "Payloads"). */
const MAX_PEER_TYPE = 63;
/** Longest name of a node that a selector may have, characters: labels of linkid spans have up to 255. */
const MAX_SELECTOR_CHARS = 255;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** What is wrong with a key, as a sentence; null: it is valid once made canonical. */
export function clusterKeyFault(key: ClusterKey | undefined): string | null {
  if (key === undefined) return 'Name a cluster.';
  const { dialect, id, peerType, peerLabel } = key;
  if (dialectOf(dialect) === null) return `Say whether the cluster is of the dialect ${DIALECT_WORDS}.`;
  if (!UUID.test(id)) return 'The id of a cluster is a uuid, written in full.';
  if (!hasLabels(dialect)) return null;
  if (peerType > MAX_PEER_TYPE) return `The peer type of a cluster is 0 to ${MAX_PEER_TYPE}.`;
  return labelFault(peerLabel);
}

/** The canonical key of a cluster: one key for each cluster. Only for valid keys. */
export function canonicalClusterKey(key: ClusterKey | undefined): ClusterKey {
  const { dialect, id, peerType, peerLabel } = key ?? ClusterKey.create();
  const isLabelled = hasLabels(dialect);
  // protocol.md, "The link layer" 2: in linkid the uuid alone is the identity.
  return {
    dialect,
    id: id.toLowerCase(),
    peerType: isLabelled ? peerType : 0,
    peerLabel: isLabelled ? peerLabel : '',
  };
}

/** A text that is equal for equal canonical keys, and only for them. */
export function clusterKeyText({ dialect, id, peerType, peerLabel }: ClusterKey): string {
  return `${dialect} ${peerType} ${id} ${peerLabel}`;
}

/** What is wrong with a selector, as a sentence; null: it is valid once made canonical. */
export function nodeSelectorFault(selector: NodeSelector | undefined): string | null {
  if (selector === undefined) return 'Name a node.';
  if (selector.key !== undefined) return nodeKeyFault(selector.key);
  const { dialect, clusterId, node } = selector;
  if (dialect !== Dialect.DIALECT_UNSPECIFIED && dialectOf(dialect) === null) return NO_SUCH_DIALECT;
  if (clusterId !== '' && !UUID.test(clusterId)) return 'The id of a cluster is a uuid, written in full.';
  if (node === '') return 'Name a node: its id, its label, or the beginning of its id.';
  if (node.length > MAX_SELECTOR_CHARS) return `The name of a node has at most ${MAX_SELECTOR_CHARS} characters.`;
  return null;
}

/** The canonical selector: one for all selectors with the same meaning. Only for valid selectors. */
export function canonicalNodeSelector(selector: NodeSelector | undefined): NodeSelector {
  const { key, dialect, clusterId, node } = selector ?? NodeSelector.create();
  if (key === undefined) return { key, dialect, clusterId: clusterId.toLowerCase(), node };
  const cluster = canonicalClusterKey(key.cluster);
  const label = hasLabels(cluster.dialect) ? key.label : '';
  return {
    key: { cluster, id: key.id.toLowerCase(), label },
    dialect: Dialect.DIALECT_UNSPECIFIED,
    clusterId: '',
    node: '',
  };
}

function nodeKeyFault({ cluster, id, label }: NodeKey): string | null {
  const fault = clusterKeyFault(cluster);
  if (fault !== null) return fault;
  if (!UUID.test(id)) return 'The id of a node is a uuid, written in full.';
  return hasLabels(cluster?.dialect) ? labelFault(label) : null;
}

function labelFault(label: string): string | null {
  // First: a label may be as long as a request.
  if (label.length > MAX_LABEL_CHARS) return `A label has at most ${MAX_LABEL_CHARS} characters.`;
  // Labels are the bytes of the wire as Latin-1 (types.proto); there a NUL ends them.
  for (let i = 0; i < label.length; i++) {
    const char = label.charCodeAt(i);
    if (char === 0 || char > 0xff) return 'A label consists of characters U+0001 to U+00FF: the bytes of the wire.';
  }
  return null;
}
