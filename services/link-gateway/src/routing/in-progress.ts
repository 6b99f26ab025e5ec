import type { Peer } from '../peers/peer.ts';

/**
 * True if a transaction that this gateway passes on, or that belongs to one of its clients, is open on the connection.
 */
export function hasRouted(peer: Peer): boolean {
  const { endpoint } = peer.connection;
  // Most connections have none, and this is called for thousands of them: spans, relays and LNK_CONNs are subtracted by
  // their number first, without looking at each transaction.
  if (endpoint === null || endpoint.openCount <= openAnyway(peer)) return false;
  return endpoint.transactions().some(({ handler }) => handler.isAwaited === true);
}

/** Number of link-layer transactions that are open on the connection. */
function openAnyway(peer: Peer): number {
  const { links, relays, lnkConns, hasOwnLnkConn } = peer;
  return links + relays + lnkConns.size + (hasOwnLnkConn ? 1 : 0);
}
