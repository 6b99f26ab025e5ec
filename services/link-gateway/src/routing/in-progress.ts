import type { Peer } from '../peers/peer.ts';

/**
 * True if a transaction that this gateway passes on, or that belongs to one of its clients, is open on the connection.
 * It is counted, not looked for: a peer may have very many others open.
 */
export function hasRouted({ connection }: Peer): boolean {
  return connection.endpoint !== null && connection.endpoint.awaited > 0;
}
