import type { StateChangeParts } from '@spanmesh/proto/state-change';
import type { ConnectionOpened, LinkOpened, LinkRef } from '@spanmesh/proto/v1/gateway_control';
import { ConnectionOrigin } from '@spanmesh/proto/v1/types';
import type { OpenTables } from '../peers/open-tables.ts';
import type { Link, Peer, RelaySource } from '../peers/peer.ts';
import { apiDialect } from '../peers/wire-dialect.ts';

/** An established connection, for topology. */
export function connectionOpened({ connection, liveness, leaving }: Peer): ConnectionOpened {
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
    suspect: liveness.isSuspect,
    closing: leaving?.why ?? '',
  };
}

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

const ORIGINS = {
  accepted: ConnectionOrigin.CONNECTION_ORIGIN_ACCEPTED,
  shell: ConnectionOrigin.CONNECTION_ORIGIN_SHELL,
  target: ConnectionOrigin.CONNECTION_ORIGIN_TARGET,
} as const;

/**
 * Puts in everything that is open (architecture.md, "Attach"); all at once, so that the deltas that follow count from here. Payloads
 * are shared, not copied. Relays count as opened before this Attach from now on. Links of other gateways that nothing here uses are
 * forgotten; the leader is told of all others, and says when they are gone.
 */
export function cutSnapshot(tables: OpenTables, parts: StateChangeParts): void {
  for (const peer of tables.connections.values()) parts.put('connectionsOpened', connectionOpened(peer));
  for (const { id, peer, payload } of tables.lnkConns.values()) {
    parts.put('lnkConnsOpened', { id, connection: peer.id, payload });
  }
  for (const link of tables.links.values()) {
    parts.put('linksOpened', linkOpened(link));
    if (link.status !== null) parts.put('linkStatuses', { link: link.id, status: link.status });
    putRelays(parts, link.source);
  }
  for (const links of [...tables.remoteLinks.values()]) {
    for (const source of [...links.values()]) {
      source.leaderKnows = !source.isOwnSpan && source.isInUse;
      if (!source.isInUse) tables.forgetRemote(source);
      if (!source.leaderKnows) continue;
      parts.put('linksKnown', linkRef(source));
      putRelays(parts, source);
    }
  }
}

function putRelays(parts: StateChangeParts, { gateway, link, relays, refusedBy }: RelaySource): void {
  const wanted: number[] = [];
  const onDemand: number[] = [];
  for (const relay of relays.values()) {
    relay.n = 0;
    (relay.wanted ? wanted : onDemand).push(relay.lnkConn.id);
  }
  if (wanted.length > 0) parts.put('relaysOpen', { linkGateway: gateway, link, lnkConns: wanted });
  if (onDemand.length > 0) parts.put('onDemandOpened', { linkGateway: gateway, link, lnkConns: onDemand });
  if (refusedBy === null) return;
  for (const lnkConn of refusedBy) parts.put('refusals', { lnkConn: lnkConn.id, linkGateway: gateway, link, n: 0 });
}
