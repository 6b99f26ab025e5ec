/** What differs between the dialects in identities and in selection. */
export interface DialectRules {
  /**
   * True if peer type and labels are part of the identities: (peer_type, peer_id, peer_label) of a cluster,
   * (pfs_label, pfs_id) of a node. False if the uuid alone is (protocol.md, "The link layer" 2).
   */
  readonly hasLabels: boolean;
  /** True if dist is signed, and a negative one counts as 0. False if it is unsigned. */
  readonly isDistSigned: boolean;
  /** True if, of two links that are equally near, the one with the lower rnss is better. */
  readonly hasRnss: boolean;
  /** Which links a LNK_CONN does not get because of their cluster (architecture.md, "Relay selection"). */
  readonly filter: ClusterFilter;
  /** Links of a node that are relayed to one LNK_CONN at most, unless the options say otherwise. */
  readonly width: number;
}

/**
 * `hammer2`: between two HAMMER2, a link of another cluster. `client`: to a CLIENT, a link of another CLIENT, or of
 * another peer_id than it names.
 */
export type ClusterFilter = 'hammer2' | 'client';

/**
 * The dialects, in the order in which they are listed. `linkid` is the dialect of October 2012, `circuit` the one since
 * 2014. Clusters, links and relays of different dialects are never mixed.
 */
const DIALECTS = {
  linkid: { hasLabels: false, isDistSigned: true, hasRnss: false, filter: 'hammer2', width: 2 },
  circuit: { hasLabels: true, isDistSigned: false, hasRnss: true, filter: 'client', width: 1 },
} as const satisfies Record<string, DialectRules>;

export type Dialect = keyof typeof DIALECTS;

export const DIALECT_NAMES = Object.keys(DIALECTS) as readonly Dialect[];

export const DIALECT_RULES: Readonly<Record<Dialect, DialectRules>> = DIALECTS;

/** Something of each dialect, in the order of DIALECT_NAMES. */
export function perDialect<T>(of: (dialect: Dialect) => T): Record<Dialect, T> {
  return Object.fromEntries(DIALECT_NAMES.map((dialect) => [dialect, of(dialect)])) as Record<Dialect, T>;
}

/** Place of a dialect among all of them. */
export function dialectRank(dialect: Dialect): number {
  return DIALECT_NAMES.indexOf(dialect);
}
