import type { StateChangeParts } from '@spanmesh/proto/state-change';
import type { LinkOpened, LinkRef } from '@spanmesh/proto/v1/gateway_control';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import type { OpenTables } from '../peers/open-tables.ts';
import type { Link, LnkConn, Peer, RelaySource } from '../peers/peer.ts';

/** Units of work (Job) between two `yield`s, or a few more: a connection, a LNK_CONN or a link is one. */
const SLICE_UNITS = 256;
/** Relays of one link that count as one more unit. */
const RELAYS_PER_UNIT = 8;

/** A link, for topology. */
export function linkOpened(link: Link): LinkOpened {
  return {
    id: link.id,
    connection: link.peer.id,
    payload: link.source.payload,
    stamp: link.stamp,
    msgidLo: link.tx.msgidLo,
    msgidHi: link.tx.msgidHi,
    sinceUs: link.sinceUs,
  };
}

/** A link of another gateway, for topology. */
export function linkRef({ gateway, link }: RelaySource): LinkRef {
  return { gateway, link };
}

/**
 * Puts everything that is open into `parts` (architecture.md, "Attach"), in slices. The objects are listed when this is
 * called; every later change is a delta. An object that has ended before its slice comes is left out, and so is one
 * that is opened in the meantime: deltas follow the snapshot, and may repeat what it says. Payloads are shared, not
 * copied.
 *
 * Until all is cut no command is obeyed, so relays change only by closing, or on demand; they count as opened before
 * this Attach. Links of other gateways that nothing here uses, and that are not withheld, are forgotten; the leader is
 * told of all others, and says when they are gone. `sliceUnits`: units of work between two `yield`s.
 */
export function cutSnapshot(tables: OpenTables, parts: StateChangeParts, sliceUnits = SLICE_UNITS): Job<void> {
  const { connections, lnkConns, links, remoteLinks, lastNumber } = tables;
  const remote = [...remoteLinks.values()].map((ofGateway) => [...ofGateway.values()]);
  const open: Open = {
    connections: [...connections.values()],
    lnkConns: [...lnkConns.values()],
    links: [...links.values()],
    remote,
    lastNumber,
  };
  return cutting({ tables, open, parts, units: new Units(sliceUnits) });
}

/** Everything that was open when the snapshot was begun. */
interface Open {
  readonly connections: readonly Peer[];
  readonly lnkConns: readonly LnkConn[];
  readonly links: readonly Link[];
  readonly remote: readonly (readonly RelaySource[])[];
  /** The highest number that had been given to anything when the snapshot was begun. */
  readonly lastNumber: number;
}

interface Cutting {
  readonly tables: OpenTables;
  readonly open: Open;
  readonly parts: StateChangeParts;
  readonly units: Units;
}

/** The slices of `cutSnapshot`. */
function* cutting({ tables, open, parts, units }: Cutting): Job<void> {
  const { lastNumber } = open;
  for (const peer of open.connections) {
    if (peer.connection.isOpen) parts.put('connectionsOpened', peer.described());
    if (units.more(1)) yield units.taken();
  }
  for (const lnkConn of open.lnkConns) {
    const { id, peer, payload, isOpen } = lnkConn;
    if (isOpen) parts.put('lnkConnsOpened', { id, connection: peer.id, payload });
    if (units.more(1)) yield units.taken();
  }
  for (const link of open.links) {
    if (link.isOpen) {
      parts.put('linksOpened', linkOpened(link));
      if (link.status !== null) parts.put('linkStatuses', { link: link.id, status: link.status });
      putRelays(parts, link.source, lastNumber);
    }
    if (units.more(unitsOf(link.source))) yield units.taken();
  }
  for (const sources of open.remote) {
    for (const source of sources) {
      // Links that are withheld stay known, or they would be relayed again, and be too many again, with each new
      // leader.
      source.leaderKnows = !source.isOwnSpan && (source.isInUse || source.offerer?.isWithheld === true);
      if (source.leaderKnows) {
        parts.put('linksKnown', linkRef(source));
        putRelays(parts, source, lastNumber);
      } else if (!source.isInUse) tables.forgetRemote(source);
      if (units.more(unitsOf(source))) yield units.taken();
    }
  }
  yield units.taken();
}

/** Counts units of work since `taken` was called last. */
class Units {
  readonly #slice: number;
  #count = 0;

  constructor(slice: number) {
    this.#slice = slice;
  }

  /** Adds units. True: they are enough for a slice. */
  more(units: number): boolean {
    this.#count += units;
    return this.#count >= this.#slice;
  }

  taken(): number {
    const count = this.#count;
    this.#count = 0;
    return count;
  }
}

function unitsOf({ relays }: RelaySource): number {
  return 1 + relays.size / RELAYS_PER_UNIT;
}

/** Puts in the open relays of a link, and the peers that refused one. */
function putRelays(
  parts: StateChangeParts,
  { gateway, link, relays, refusedBy }: RelaySource,
  lastNumber: number,
): void {
  const wanted: number[] = [];
  const onDemand: number[] = [];
  for (const relay of relays.values()) {
    const { lnkConn } = relay;
    relay.n = 0;
    // The relay of a LNK_CONN that is not in the snapshot is gone with it, or comes in a delta.
    if (lnkConn.isOpen && lnkConn.id <= lastNumber) (relay.wanted ? wanted : onDemand).push(lnkConn.id);
  }
  if (wanted.length > 0) parts.put('relaysOpen', { linkGateway: gateway, link, lnkConns: wanted });
  if (onDemand.length > 0) parts.put('onDemandOpened', { linkGateway: gateway, link, lnkConns: onDemand });
  if (refusedBy === null) return;
  for (const lnkConn of refusedBy) {
    if (lnkConn.isOpen) parts.put('refusals', { lnkConn: lnkConn.id, linkGateway: gateway, link, n: 0 });
  }
}
