import type { Peer } from '../peers/peer.ts';

/** A transaction that passes through this gateway, or is a client's, is in progress on the connection. */
export function hasRouted(peer: Peer): boolean {
  const { endpoint } = peer.connection;
  // Most have none, and this is asked about thousands of them: spans, relays, and both LNK_CONNs are counted, not looked at.
  if (endpoint === null || endpoint.openCount <= openAnyway(peer)) return false;
  return endpoint.transactions().some(({ handler }) => handler.isAwaited === true);
}

/** How many are open on the connection in the link layer. */
function openAnyway(peer: Peer): number {
  const { links, relays, lnkConns, hasOwnLnkConn } = peer;
  return links + relays + lnkConns.size + (hasOwnLnkConn ? 1 : 0);
}
