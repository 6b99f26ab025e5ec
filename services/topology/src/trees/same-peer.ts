import type { Connection, LnkConn } from '@spanmesh/spantree/tree';
import { connectionData, lnkConnData } from './gateway.ts';

/**
 * The most connections that are probed when a peer seems to have reconnected. Several mounts of one host may look like
 * the same peer, and each of them costs a PING whenever another one connects.
 */
const MOST_SUSPECTS = 32;

/**
 * Finds LNK_CONNs that seem to be of the same peer: same address, same identity fields. A peer that reconnects before
 * the loss of its old connection was noticed has two of them (architecture.md, "Half-dead peers").
 */
export class SamePeer {
  readonly #byIdentity = new Map<string, Set<LnkConn>>();

  /** Number of different identities. */
  get size(): number {
    return this.#byIdentity.size;
  }

  add(lnkConn: LnkConn): void {
    const identity = identityOf(lnkConn);
    const same = this.#byIdentity.get(identity);
    if (same === undefined) this.#byIdentity.set(identity, new Set([lnkConn]));
    else same.add(lnkConn);
  }

  remove(lnkConn: LnkConn): void {
    const identity = identityOf(lnkConn);
    const same = this.#byIdentity.get(identity);
    if (same?.delete(lnkConn) === true && same.size === 0) this.#byIdentity.delete(identity);
  }

  /** The other connections that a peer of the same identity has open, at most MOST_SUSPECTS. */
  others(lnkConn: LnkConn): Set<Connection> {
    const others = new Set<Connection>();
    for (const { connection } of this.#byIdentity.get(identityOf(lnkConn)) ?? []) {
      if (connection !== lnkConn.connection) others.add(connection);
      if (others.size === MOST_SUSPECTS) break;
    }
    return others;
  }
}

function identityOf(lnkConn: LnkConn): string {
  const { payload } = lnkConnData(lnkConn);
  const host = hostOf(connectionData(lnkConn.connection).opened.remoteAddress);
  const { dialect, mediaId, clusterId, pfsFsid = '', peerType, label } = payload;
  return `${host} ${dialect} ${mediaId} ${clusterId} ${pfsFsid} ${peerType} ${label}`;
}

/** `192.0.2.1:987` → `192.0.2.1`, `[2001:db8::1]:987` → `[2001:db8::1]`. */
function hostOf(address: string): string {
  const colon = address.lastIndexOf(':');
  return colon < 0 ? address : address.slice(0, colon);
}
