import { type ConnectionOpened, type LinkOpened, StateChange } from '@spanmesh/proto/v1/gateway_control';
import { ConnectionOrigin } from '@spanmesh/proto/v1/types';
import type { Connection } from './connection.ts';
import { SNAPSHOT_PART_BYTES } from './limits.ts';
import type { Link } from './link.ts';
import type { OpenTables } from './open-tables.ts';
import type { RelaySource } from './relay-source.ts';
import { apiDialect } from './wire-dialect.ts';

/** What an entry costs in a message besides its payload, in bytes: more than it really does. */
const ENTRY_BYTES = 64;
/** The same for a number in a packed list. */
const NUMBER_BYTES = 8;

/** A connection that stands, for topology. */
export function connectionOpened(connection: Connection): ConnectionOpened {
  const { origin } = connection;
  const target = origin.kind === 'target' ? origin : null;
  return {
    id: connection.id,
    dialect: apiDialect(connection.dialect!),
    remoteAddress: connection.remote,
    localAddress: connection.local,
    origin: ORIGINS[origin.kind],
    owner: target?.owner ?? '',
    generation: target?.generation ?? 0,
    sinceUs: connection.sinceUs,
    suspect: connection.suspect,
    closing: connection.leaving?.why ?? '',
  };
}

/** A link, for topology. */
export function linkOpened(link: Link): LinkOpened {
  return {
    id: link.id,
    connection: link.connection.id,
    payload: link.source.payload,
    stamp: link.stamp,
    msgidLo: link.tx.msgidLo,
    msgidHi: link.tx.msgidHi,
  };
}

const ORIGINS = {
  accepted: ConnectionOrigin.CONNECTION_ORIGIN_ACCEPTED,
  shell: ConnectionOrigin.CONNECTION_ORIGIN_SHELL,
  target: ConnectionOrigin.CONNECTION_ORIGIN_TARGET,
} as const;

/**
 * Everything that is open, in parts (architecture.md, "Attach"); cut at once, so that the deltas that follow count from here.
 * Payloads are shared, not copied. Relays count as opened before this Attach from now on. The leader takes links of other gateways
 * for known whose relays or refusals it is told of here, and says when they are gone; the rest is forgotten until it names them.
 */
export function cutSnapshot(tables: OpenTables): StateChange[] {
  const parts = new Parts();
  for (const connection of tables.connections.values()) {
    parts.next(ENTRY_BYTES * 3).connectionsOpened.push(connectionOpened(connection));
  }
  for (const { id, connection, payload, volconfs } of tables.lnkConns.values()) {
    parts.next(ENTRY_BYTES + payload.length).lnkConnsOpened.push({ id, connection: connection.id, payload });
    if (volconfs === null) continue;
    for (const [index, { copy }] of volconfs) {
      parts.next(ENTRY_BYTES + copy.length).volconfs.push({ lnkConn: id, index, copy });
    }
  }
  for (const link of tables.links.values()) {
    parts.next(ENTRY_BYTES + link.source.payload.length).linksOpened.push(linkOpened(link));
    if (link.status !== null) parts.next(ENTRY_BYTES).linkStatuses.push({ link: link.id, status: link.status });
  }
  for (const link of tables.links.values()) addRelays(parts, link.source);
  for (const [gateway, links] of tables.remoteLinks) {
    for (const [number, source] of links) {
      const { relays, refusedBy } = source;
      if (relays.size === 0 && (refusedBy === null || refusedBy.size === 0)) {
        links.delete(number);
        continue;
      }
      source.named = isNamed(source);
      addRelays(parts, source);
    }
    if (links.size === 0) tables.remoteLinks.delete(gateway);
  }
  return parts.all;
}

/** Not by ways back alone, which the leader does not count on. */
function isNamed({ relays, refusedBy }: RelaySource): boolean {
  if (refusedBy !== null && refusedBy.size > 0) return true;
  for (const { wanted } of relays.values()) if (wanted) return true;
  return false;
}

function addRelays(parts: Parts, source: RelaySource): void {
  const { gateway, link, relays, refusedBy } = source;
  if (relays.size > 0) {
    const wanted: number[] = [];
    const onDemand: number[] = [];
    for (const relay of relays.values()) {
      relay.n = 0;
      (relay.wanted ? wanted : onDemand).push(relay.lnkConn.id);
    }
    const put = (list: 'relaysOpen' | 'onDemandOpened', lnkConns: number[]) => {
      if (lnkConns.length === 0) return;
      parts.next(ENTRY_BYTES + NUMBER_BYTES * lnkConns.length)[list].push({ linkGateway: gateway, link, lnkConns });
    };
    put('relaysOpen', wanted);
    if (!source.isOwnSpan) put('onDemandOpened', onDemand);
  }
  if (refusedBy === null) return;
  for (const lnkConn of refusedBy) {
    parts.next(ENTRY_BYTES).refusals.push({ lnkConn: lnkConn.id, linkGateway: gateway, link, n: 0 });
  }
}

class Parts {
  readonly all: StateChange[] = [];
  #bytes = 0;

  /** The part that an entry of this size goes into. */
  next(bytes: number): StateChange {
    if (this.all.length === 0 || this.#bytes + bytes > SNAPSHOT_PART_BYTES) {
      this.all.push(StateChange.create());
      this.#bytes = 0;
    }
    this.#bytes += bytes;
    return this.all[this.all.length - 1]!;
  }
}
