import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Peer } from '../peers/peer.ts';
import { RoutedHandler } from './joined.ts';
import { LinkidJoined } from './linkid-route.ts';
import { LocalRoute } from './local-route.ts';

/** A transaction that passes through this gateway, or is a client's, is in progress on the connection. */
export function hasRouted(peer: Peer): boolean {
  const { endpoint } = peer.connection;
  // Most have none, and this is asked about thousands of them: spans, relays, and both LNK_CONNs are counted, not looked at.
  if (endpoint === null || endpoint.openCount <= openAnyway(peer)) return false;
  return endpoint.transactions().some(isRouted);
}

/** How many are open on the connection in the link layer. */
function openAnyway(peer: Peer): number {
  const { links, relays, lnkConns, hasOwnLnkConn } = peer;
  return links + relays + lnkConns.size + (hasOwnLnkConn ? 1 : 0);
}

function isRouted({ handler }: Transaction): boolean {
  return handler instanceof RoutedHandler || handler instanceof LinkidJoined || handler instanceof LocalRoute;
}
