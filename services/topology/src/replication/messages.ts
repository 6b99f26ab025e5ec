import { FollowRequest, FollowResponse, ReplicationService, type TreeChange } from '@spanmesh/proto/v1/replication';

/**
 * Version of the messages between replicas (replication.proto). Replicas whose versions differ do not follow each
 * other.
 */
export const REPLICATION_VERSION = 1;

/** A message is full beyond this many bytes (estimated), so that with one more change it is still less than 1 MiB. */
const FULL_BYTES = 384 * 1024;
/** The most numbers of a relay set in one change: 8 bytes each. */
const MOST_NUMBERS = 65_536;

/**
 * Estimated encoded sizes (upper bounds): a change without its parts of variable size, and a number in a packed list.
 */
const CHANGE_BYTES = 64;
const NUMBER_BYTES = 8;
/** The texts of a change: addresses and names of a connection or a gateway, or a cluster with its label. */
const TEXTS_BYTES = 768;
/** The id of a gateway in a list. */
const GATEWAY_BYTES = 76;
/** A principal in a list: of 256 characters at most, which are ASCII. */
const PRINCIPAL_BYTES = 260;

/** The replication service with responses that are already encoded: a message for all standbys is encoded once. */
export const EncodedReplicationService = {
  follow: {
    ...ReplicationService.follow,
    requestDeserialize: (bytes: Buffer): FollowRequest => FollowRequest.decode(bytes),
    responseSerialize: (message: Buffer): Buffer => message,
  },
} as const;

export function encodeResponse(message: FollowResponse): Buffer {
  return Buffer.from(FollowResponse.encode(message).finish());
}

/** Divides the changes, in order, into parts that each make a message of less than 1 MiB. */
export function* inMessages(changes: Iterable<TreeChange>): Iterable<TreeChange[]> {
  let part: TreeChange[] = [];
  let bytes = 0;
  for (const whole of changes) {
    for (const change of divided(whole)) {
      part.push(change);
      bytes += bytesOf(change);
      if (bytes < FULL_BYTES) continue;
      yield part;
      part = [];
      bytes = 0;
    }
  }
  if (part.length > 0) yield part;
}

/** Estimated encoded size of a change (an upper bound). */
function bytesOf(change: TreeChange): number {
  const { connectionOpened, gatewayPut, clusterHeld, clusterReleased, lnkConnOpened, linkOpened, trunks, withheld } =
    change;
  if (linkOpened !== undefined) return CHANGE_BYTES + linkOpened.payload.length;
  if (lnkConnOpened !== undefined) return CHANGE_BYTES + lnkConnOpened.payload.length;
  if (withheld !== undefined) return CHANGE_BYTES + PRINCIPAL_BYTES * withheld.principals.length;
  if (trunks !== undefined) return CHANGE_BYTES + GATEWAY_BYTES * trunks.unreachable.length;
  if (connectionOpened ?? gatewayPut ?? clusterHeld ?? clusterReleased) return CHANGE_BYTES + TEXTS_BYTES;
  const numbers = setOf(change)?.set.lnkConns.length ?? 0;
  return 2 * CHANGE_BYTES + NUMBER_BYTES * numbers;
}

const SETS = ['relaysAdopted', 'refusalsAdopted', 'relaysRefused', 'onDemandOpened', 'onDemandClosed'] as const;

/** The relay set that a change contains, with the name of its field. */
function setOf(change: TreeChange) {
  for (const name of SETS) {
    const set = change[name];
    if (set !== undefined) return { name, set };
  }
  return undefined;
}

/** Divides a change whose relay set has too many numbers; any other change is yielded as it is. */
function* divided(change: TreeChange): Iterable<TreeChange> {
  const found = setOf(change);
  if (found === undefined || found.set.lnkConns.length <= MOST_NUMBERS) {
    yield change;
    return;
  }
  const { name, set } = found;
  for (let at = 0; at < set.lnkConns.length; at += MOST_NUMBERS) {
    yield { ...change, [name]: { ...set, lnkConns: set.lnkConns.slice(at, at + MOST_NUMBERS) } };
  }
}
