import { type RelaySet, StateChange } from '@spanmesh/proto/v1/gateway_control';

/** Encoded sizes in bytes, estimated from above: numbers in packed lists, and messages without what varies in them. */
const NUMBER_BYTES = 9;
const ENTRY_BYTES = 64;
const CONNECTION_BYTES = 256;
const REFUSAL_BYTES = 120;
/** A reason of 256 characters may take four bytes each. */
const CLOSING_BYTES = 1100;
/** Labels of 127 characters may take two bytes each. */
const CLUSTER_KEY_BYTES = 320;
const RELAY_SET_BYTES = 96;
/** Numbers of one relay set that go into one part. */
const MOST_NUMBERS = 65_536;

/** Size of a change as a message, estimated from above, without looking at each entry: those of a kind are about alike. */
export function sizeOf(change: StateChange): number {
  let bytes = CONNECTION_BYTES * change.connectionsOpened.length;
  bytes += (ENTRY_BYTES + (change.lnkConnsOpened[0]?.payload.length ?? 0)) * change.lnkConnsOpened.length;
  bytes += (ENTRY_BYTES + (change.linksOpened[0]?.payload.length ?? 0)) * change.linksOpened.length;
  bytes += ENTRY_BYTES * change.linkStatuses.length;
  if (change.stopping) bytes += NUMBER_BYTES;
  bytes += REFUSAL_BYTES * (change.refusals.length + change.drains.length);
  bytes += CLOSING_BYTES * change.connectionsClosing.length;
  bytes += (ENTRY_BYTES + (change.volconfs[0]?.copy.length ?? 0)) * change.volconfs.length;
  bytes += CONNECTION_BYTES * change.reachability.length;
  bytes += CLUSTER_KEY_BYTES * (change.clustersHeld.length + change.clustersReleased.length);
  for (const sets of [change.relaysOpen, change.onDemandOpened, change.onDemandClosed]) {
    for (const { lnkConns } of sets) bytes += RELAY_SET_BYTES + NUMBER_BYTES * lnkConns.length;
  }
  const { connectionsClosed, lnkConnsClosed, linksClosed, connectionsAlive } = change;
  const numbers = connectionsClosed.length + lnkConnsClosed.length + linksClosed.length + connectionsAlive.length;
  return bytes + NUMBER_BYTES * numbers;
}

/**
 * The same changes in parts of about `maxBytes`, small ones put together. What was opened comes in earlier parts than what is
 * on it, and what was closed last, so that the parts may be taken in one by one.
 */
export function* inParts(changes: Iterable<StateChange>, maxBytes: number): Iterable<StateChange> {
  const all = [...changes];
  let part = StateChange.create();
  let bytes = 0;
  function* put<T>(
    list: (change: StateChange) => T[],
    size: (item: T) => number,
    divide?: (item: T) => Iterable<T>,
  ): Iterable<StateChange> {
    for (const change of all) {
      for (const whole of list(change)) {
        for (const item of divide?.(whole) ?? [whole]) {
          const more = size(item);
          if (bytes > 0 && bytes + more > maxBytes) {
            yield part;
            part = StateChange.create();
            bytes = 0;
          }
          list(part).push(item);
          bytes += more;
        }
      }
    }
  }
  const number = () => NUMBER_BYTES;
  const relays = ({ lnkConns }: RelaySet) => RELAY_SET_BYTES + NUMBER_BYTES * lnkConns.length;
  yield* put(
    (change) => change.connectionsOpened,
    () => CONNECTION_BYTES,
  );
  yield* put(
    (change) => change.lnkConnsOpened,
    ({ payload }) => ENTRY_BYTES + payload.length,
  );
  yield* put(
    (change) => change.linksOpened,
    ({ payload }) => ENTRY_BYTES + payload.length,
  );
  yield* put(
    (change) => change.linkStatuses,
    () => ENTRY_BYTES,
  );
  yield* put(
    (change) => change.reachability,
    () => CONNECTION_BYTES,
  );
  // What one part holds and a later one releases is released: they are told in the order in which it may be taken.
  yield* put(
    (change) => change.clustersHeld,
    () => CLUSTER_KEY_BYTES,
  );
  yield* put(
    (change) => change.clustersReleased,
    () => CLUSTER_KEY_BYTES,
  );
  yield* put((change) => change.relaysOpen, relays, divided);
  yield* put(
    (change) => change.refusals,
    () => REFUSAL_BYTES,
  );
  yield* put((change) => change.onDemandOpened, relays, divided);
  yield* put((change) => change.onDemandClosed, relays, divided);
  yield* put((change) => change.connectionsAlive, number);
  yield* put(
    (change) => change.volconfs,
    ({ copy }) => ENTRY_BYTES + copy.length,
  );
  yield* put(
    (change) => change.connectionsClosing,
    () => CLOSING_BYTES,
  );
  yield* put((change) => change.linksClosed, number);
  yield* put((change) => change.lnkConnsClosed, number);
  yield* put((change) => change.connectionsClosed, number);
  yield* put(
    (change) => change.drains,
    () => REFUSAL_BYTES,
  );
  if (all.some(({ stopping }) => stopping)) {
    part.stopping = true;
    bytes += NUMBER_BYTES;
  }
  if (bytes > 0) yield part;
}

function* divided(set: RelaySet): Iterable<RelaySet> {
  const { linkGateway, link, lnkConns } = set;
  if (lnkConns.length <= MOST_NUMBERS) {
    yield set;
    return;
  }
  for (let at = 0; at < lnkConns.length; at += MOST_NUMBERS) {
    yield { linkGateway, link, lnkConns: lnkConns.slice(at, at + MOST_NUMBERS) };
  }
}
