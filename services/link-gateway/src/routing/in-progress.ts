import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Connection } from '../connection/connection.ts';
import { Joined } from './joined.ts';
import { LinkidJoined } from './linkid-route.ts';
import { LocalRoute } from './local-route.ts';

/** A transaction that passes through this gateway, or is a client's, is in progress on the connection. */
export function hasRouted(connection: Connection): boolean {
  const { endpoint } = connection;
  // Most have none, and this is asked about thousands of them: spans, relays, and both LNK_CONNs are counted, not looked at.
  if (endpoint === null || endpoint.openCount <= openAnyway(connection)) return false;
  return endpoint.transactions().some(isRouted);
}

/** How many are open on the connection in the link layer. */
function openAnyway(connection: Connection): number {
  const { links, relays, lnkConns, ownLnkConn } = connection;
  return links + relays + lnkConns.size + (ownLnkConn === null || ownLnkConn.ended ? 0 : 1);
}

function isRouted({ handler }: Transaction): boolean {
  return handler instanceof Joined || handler instanceof LinkidJoined || handler instanceof LocalRoute;
}
