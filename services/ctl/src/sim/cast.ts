import { PeerType } from '@spanmesh/dmsg/names';
import type { LnkConn } from '@spanmesh/dmsg/payload/lnk-conn';
import type { LnkSpan } from '@spanmesh/dmsg/payload/lnk-span';
import type { Random } from '@spanmesh/runtime/random';
import { randomUuid, seededRandom } from './seeded-random.ts';

/** The identity of a simulated peer: its LNK_CONN and the spans that it offers. */
export interface Part {
  readonly lnkConn: LnkConn;
  readonly spans: readonly LnkSpan[];
}

export interface CastOptions {
  readonly peers: number;
  readonly dialect: SimDialect | 'both';
  /** Spans of each peer. */
  readonly spans: number;
  /** Clusters that the spans are spread over (in each dialect). */
  readonly clusters: number;
  readonly seed: number;
}

interface SimCluster {
  readonly id: string;
  readonly peerType: number;
  readonly label: string;
}

/** proto_version of the references' LNK_CONN and LNK_SPAN. */
const PROTO_VERSION = 1;
/** pfs_types of a master and a slave; the router only shows them. */
const PFS_TYPES = [8, 5] as const;
const VOLUMES = ['tank', 'home', 'vault', 'media', 'build', 'mail', 'backup', 'scratch'] as const;
/** Media behind the spans: 64 GiB in blocks of 512 bytes, which LNK_SPANs of the type BLOCK say. */
export const MEDIA_BYTES = 64n * 2n ** 30n;
export const MEDIA_BLOCK_BYTES = 512;
/** Numbers of the seed's random streams: one for the clusters of each dialect, then one for each peer. */
const CLUSTER_STREAMS = { linkid: 0, circuit: 1 } as const;
/** A dialect that simulated peers can speak. */
type SimDialect = keyof typeof CLUSTER_STREAMS;
const FIRST_PEER_STREAM = 2;

/**
 * The peers of a simulation, with uuids and labels like those of a real installation; the same options give the same
 * peers.
 */
export function castParts({ peers, dialect, spans, clusters, seed }: CastOptions): Part[] {
  const known = {
    linkid: simClusters(clusters, seededRandom(seed, CLUSTER_STREAMS.linkid)),
    circuit: simClusters(clusters, seededRandom(seed, CLUSTER_STREAMS.circuit)),
  };
  // Each dialect is counted separately, so that with `both` each has all its clusters.
  const next = { linkid: 0, circuit: 0 };
  return Array.from({ length: peers }, (_, i) => {
    const own = dialect === 'both' ? (i % 2 === 0 ? 'circuit' : 'linkid') : dialect;
    const random = seededRandom(seed, FIRST_PEER_STREAM + i);
    const host = `peer${String(i + 1).padStart(2, '0')}`;
    const first = next[own];
    next[own] += Math.max(spans, 1);
    const of = (j: number): SimCluster => known[own][(first + j) % clusters]!;
    return {
      lnkConn: lnkConnOf(own, of(0), host, random),
      spans: Array.from({ length: spans }, (_, j) => spanOf(own, of(j), `${host}.${j + 1}`, first + j, random)),
    };
  });
}

/** The random numbers for what peer `i` does (its churn and its transactions). */
export function peerRandom(seed: number, i: number): Random {
  return seededRandom(seed ^ 0x5bd1e995, FIRST_PEER_STREAM + i);
}

/** Two thirds of the clusters are HAMMER2 volumes, one third are groups of exported block devices. */
function simClusters(clusters: number, random: Random): SimCluster[] {
  return Array.from({ length: clusters }, (_, i) => {
    const round = Math.floor(i / VOLUMES.length);
    const label = `${VOLUMES[i % VOLUMES.length]}${round === 0 ? '' : round + 1}`;
    const isBlock = i % 3 === 2;
    return {
      id: randomUuid(random),
      peerType: isBlock ? PeerType.BLOCK : PeerType.HAMMER2,
      label: isBlock ? `disks-${label}` : label,
    };
  });
}

function lnkConnOf(dialect: SimDialect, cluster: SimCluster, host: string, random: Random): LnkConn {
  return {
    dialect,
    mediaId: randomUuid(random),
    clusterId: cluster.id,
    ...(dialect === 'linkid' ? { pfsFsid: randomUuid(random), dist: 0 } : { rnss: 0 }),
    peerMaskLo: 0xffffffff,
    peerMaskHi: 0xffffffff,
    peerType: cluster.peerType,
    pfsType: 0,
    protoVersion: PROTO_VERSION,
    status: 0,
    label: `${host}.example`,
  };
}

function spanOf(dialect: SimDialect, cluster: SimCluster, label: string, n: number, random: Random): LnkSpan {
  const hasMedium = dialect === 'circuit' && cluster.peerType === PeerType.BLOCK;
  return {
    dialect,
    clusterId: cluster.id,
    nodeId: randomUuid(random),
    pfsType: PFS_TYPES[n % PFS_TYPES.length] ?? 0,
    peerType: cluster.peerType,
    protoVersion: PROTO_VERSION,
    status: 0,
    dist: 0,
    rnss: dialect === 'circuit' ? Math.floor(random() * 2 ** 32) : 0,
    mediaBytes: hasMedium ? MEDIA_BYTES : 0n,
    mediaBlksize: hasMedium ? MEDIA_BLOCK_BYTES : 0,
    peerLabel: dialect === 'circuit' ? cluster.label : '',
    label,
  };
}
