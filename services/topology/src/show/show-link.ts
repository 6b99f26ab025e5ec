import { decodeLnkSpanPayload } from '@spanmesh/dmsg/payload/lnk-span';
import type { RelayTarget } from '@spanmesh/proto/v1/topology';
import type { Link as ProtoLink, Relay as ProtoRelay } from '@spanmesh/proto/v1/types';
import type { Link, LnkConn } from '@spanmesh/spantree/tree';
import { isWithheld, linkData } from '../trees/gateway.ts';
import { connectionId, linkId, lnkConnId, showNodeKey } from '../trees/show-ids.ts';

/** Fields of a link that change while it is open. */
export interface LinkMoment {
  readonly status: number;
  readonly relays: number;
  readonly suspect: boolean;
}

export function momentOf(link: Link): LinkMoment {
  return { status: linkData(link).status, relays: relayCount(link), suspect: link.connection.suspect };
}

export function showLink(link: Link, { status, relays, suspect }: LinkMoment = momentOf(link)): ProtoLink {
  const { payload, msgidLo, msgidHi, sinceUs } = linkData(link);
  const span = decodeLnkSpanPayload(link.span.dialect, payload, 0);
  return {
    id: linkId(link),
    node: showNodeKey(link.node),
    connection: connectionId(link.connection),
    dist: link.dist | 0,
    rnss: link.rnss,
    pfsType: span.pfsType,
    peerType: span.peerType,
    protoVersion: span.protoVersion,
    label: span.label,
    status,
    mediaBytes: span.mediaBytes ?? 0n,
    mediaBlockSize: span.mediaBlksize,
    stamp: BigInt(link.span.stamp),
    msgid: (BigInt(msgidHi >>> 0) << 32n) | BigInt(msgidLo >>> 0),
    relays,
    suspect,
    sinceUs: isTime(sinceUs) ? BigInt(sinceUs) : 0n,
  };
}

/** A gateway may send any number as a time. */
function isTime(us: number): boolean {
  return Number.isSafeInteger(us) && us > 0;
}

/** The LNK_CONNs that a link is relayed to, selected or on demand. */
export function relaysOf(link: Link): LnkConn[] {
  const chosen = [...link.relays];
  const { onDemand } = linkData(link);
  if (onDemand === undefined || onDemand.size === 0) return chosen;
  return [...new Set([...chosen, ...onDemand])];
}

export function showTarget(link: Link, lnkConn: LnkConn): RelayTarget {
  return {
    lnkConn: lnkConnId(lnkConn),
    connection: connectionId(lnkConn.connection),
    withheld: isWithheld(link, lnkConn),
  };
}

export function showRelay(link: Link, lnkConn: LnkConn): ProtoRelay {
  return {
    link: linkId(link),
    ...showTarget(link, lnkConn),
    node: showNodeKey(link.node),
    // protocol.md, "The link layer" 2.
    dist: (link.dist + 1) | 0,
  };
}

function relayCount(link: Link): number {
  let count = link.relayCount;
  for (const lnkConn of linkData(link).onDemand ?? []) if (!lnkConn.has(link)) count++;
  return count;
}
