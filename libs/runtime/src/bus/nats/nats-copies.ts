import type { ClusterInfo } from 'nats';

/** A server that the leader of a bucket has not heard for so long has no copy for now, ms: they speak once a second. */
const SILENT_MS = 5000;
const NS_PER_MS = 1e6;

/** In how many copies a bucket is kept. */
export interface BucketCopies {
  /** As it is called on NATS. */
  readonly bucket: string;
  /** As many as the settings ask for. */
  readonly wanted: number;
  /** Copies whose servers are there. */
  readonly there: number;
  /** Why NATS does not say how many there are; empty: it does. */
  readonly trouble: string;
}

/**
 * Copies of a stream whose servers are there, as its leader says. One that is behind counts; one that the leader has not heard lately,
 * or never, does not: servers that were killed are called offline a minute later only.
 */
export function copiesThere(cluster: ClusterInfo | undefined): number {
  // A server that is alone.
  if (cluster === undefined) return 1;
  const followers = (cluster.replicas ?? []).filter(({ current, offline, active }) => {
    const isHeard = current || active > 0;
    return isHeard && offline !== true && active <= SILENT_MS * NS_PER_MS;
  });
  return followers.length + (cluster.leader === undefined || cluster.leader === '' ? 0 : 1);
}
