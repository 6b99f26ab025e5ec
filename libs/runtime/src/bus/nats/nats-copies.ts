import type { ClusterInfo } from 'nats';

/**
 * A server from which a bucket's leader has heard nothing for this time counts as having no copy, ms: servers speak
 * once a second.
 */
const SILENT_MS = 5000;
const NS_PER_MS = 1e6;

/** The copies of a bucket. */
export interface BucketCopies {
  /** Name of the bucket on NATS. */
  readonly bucket: string;
  /** Copies that the settings ask for. */
  readonly wanted: number;
  /** Copies on servers that are there. */
  readonly there: number;
  /** Why NATS does not say how many copies there are; empty: it does. */
  readonly trouble: string;
}

/**
 * Number of copies of a stream on servers that are reachable, as the stream's leader reports them. A copy that lags
 * behind counts. One whose server the leader has not heard lately, or never, does not: NATS calls a killed server
 * offline only after a minute.
 */
export function copiesThere(cluster: ClusterInfo | undefined): number {
  // A server without a cluster has the only copy.
  if (cluster === undefined) return 1;
  const followers = (cluster.replicas ?? []).filter(({ current, offline, active }) => {
    const isHeard = current || active > 0;
    return isHeard && offline !== true && active <= SILENT_MS * NS_PER_MS;
  });
  return followers.length + (cluster.leader === undefined || cluster.leader === '' ? 0 : 1);
}
