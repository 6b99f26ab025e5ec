import type { Connection as ProtoConnection, LnkConn as ProtoLnkConn } from '@spanmesh/proto/v1/types';
import type { Connection, LnkConn } from '@spanmesh/spantree/tree';
import { connectionData, lnkConnData } from '../trees/gateway.ts';
import { connectionId, lnkConnId } from '../trees/show-ids.ts';

export function showConnection(connection: Connection): ProtoConnection {
  const { opened } = connectionData(connection);
  const lnkConns = [...connection.lnkConns].sort((a, b) => a.id - b.id).map(showLnkConn);
  return {
    id: connectionId(connection),
    gateway: connection.gateway,
    dialect: opened.dialect,
    remoteAddress: opened.remoteAddress,
    localAddress: opened.localAddress,
    origin: opened.origin,
    wantedBy: opened.owner,
    since: Number.isSafeInteger(opened.sinceUs) ? new Date(opened.sinceUs / 1000) : undefined,
    lnkConns,
    links: connection.links.size,
    relays: lnkConns.reduce((sum, { relays }) => sum + relays, 0),
    suspect: connection.suspect,
    closing: opened.closing,
  };
}

export function showLnkConn(lnkConn: LnkConn): ProtoLnkConn {
  const { payload } = lnkConnData(lnkConn);
  return {
    id: lnkConnId(lnkConn),
    connection: connectionId(lnkConn.connection),
    mediaId: payload.mediaId,
    clusterId: payload.clusterId,
    peerMask: (BigInt(payload.peerMaskHi >>> 0) << 32n) | BigInt(payload.peerMaskLo >>> 0),
    peerType: payload.peerType,
    protoVersion: payload.protoVersion,
    label: payload.label,
    relays: relayCount(lnkConn),
  };
}

function relayCount(lnkConn: LnkConn): number {
  let count = lnkConn.relayCount;
  for (const link of lnkConnData(lnkConn).onDemand ?? []) if (!lnkConn.has(link)) count++;
  return count;
}
