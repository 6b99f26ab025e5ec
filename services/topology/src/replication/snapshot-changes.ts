import { encodeLnkConn, lnkConnBytes } from '@spanmesh/dmsg/payload/lnk-conn';
import { decodeLnkSpanPayload } from '@spanmesh/dmsg/payload/lnk-span';
import type { TreeChange } from '@spanmesh/proto/v1/replication';
import type { Link, LnkConn } from '@spanmesh/spantree/tree';
import { showClusterKey } from '../api/show-ids.ts';
import { connectionData, type Gateway, linkData, lnkConnData } from '../trees/gateway.ts';
import { relaySet, type Trees } from '../trees/trees.ts';

/** Changes that make empty trees into these. To be read to the end before anything changes. */
export function* snapshotChanges({ gateways, tree }: Trees): Iterable<TreeChange> {
  for (const gateway of gateways.values()) yield { gateway: gateway.number, gatewayPut: gateway };
  for (const gateway of gateways.values()) {
    const unreachable = [...tree.unreachableFrom(gateway.id)];
    if (unreachable.length > 0) yield { gateway: gateway.number, trunks: { established: [], unreachable } };
    yield* openOn(gateway);
  }
  // Links of all gateways first: a relay may be of any of them.
  for (const { links } of gateways.values()) for (const link of links.values()) yield* relaysOf(link);
}

function* openOn(gateway: Gateway): Iterable<TreeChange> {
  const { number, connections, lnkConns, links, held } = gateway;
  for (const connection of connections.values()) {
    const { opened } = connectionData(connection);
    yield { gateway: number, connectionOpened: { ...opened, suspect: connection.suspect } };
  }
  for (const { id, connection, data } of lnkConns.values()) {
    const { payload } = data as ReturnType<typeof lnkConnData>;
    const bytes = Buffer.alloc(lnkConnBytes(payload.dialect));
    encodeLnkConn(payload, bytes, 0);
    yield { gateway: number, lnkConnOpened: { id, connection: connection.id, payload: bytes } };
  }
  for (const link of links.values()) {
    const { id, connection, span } = link;
    const { payload, msgidLo, msgidHi, sinceUs, status } = linkData(link);
    const { stamp } = span;
    yield { gateway: number, linkOpened: { id, connection: connection.id, payload, stamp, msgidLo, msgidHi, sinceUs } };
    if (decodeLnkSpanPayload(span.dialect, payload, 0).status !== status) {
      yield { gateway: number, linkStatus: { link: id, status } };
    }
  }
  for (const cluster of held.values()) yield { gateway: number, clusterHeld: showClusterKey(cluster) };
}

function* relaysOf(link: Link): Iterable<TreeChange> {
  for (const [gateway, ids] of byGateway(link.relays)) {
    yield { gateway: gateway.number, relaysAdopted: relaySet(gateway, link, ids) };
  }
  for (const [gateway, ids] of byGateway(link.refusals())) {
    yield { gateway: gateway.number, refusalsAdopted: relaySet(gateway, link, ids) };
  }
  for (const [gateway, ids] of byGateway(linkData(link).onDemand ?? [])) {
    yield { gateway: gateway.number, onDemandOpened: relaySet(gateway, link, ids) };
  }
}

function byGateway(lnkConns: Iterable<LnkConn>): Map<Gateway, number[]> {
  const grouped = new Map<Gateway, number[]>();
  for (const lnkConn of lnkConns) {
    const { gateway } = lnkConnData(lnkConn);
    const ids = grouped.get(gateway);
    if (ids === undefined) grouped.set(gateway, [lnkConn.id]);
    else ids.push(lnkConn.id);
  }
  return grouped;
}
