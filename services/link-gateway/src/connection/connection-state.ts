import type { Endpoint } from '@spanmesh/dmsg/endpoint';
import type { Timer } from '@spanmesh/runtime/clock';
import type { CloseReason } from './close-reason.ts';

/**
 * Where a connection is in its life; changed in `#become` only.
 *
 * * recognising: the dialect is not known. The first state. Leads to open when the dialect is fixed, when the peer's
 *   first messages tell it, or when the time for that is over.
 * * open: messages go both ways. From recognising.
 * * closing: all transactions are lost. The socket is given a moment to send what is queued, and after `finish` the
 *   peer is given one to close its side. From recognising and open, by `close` and `finish`.
 * * closed: the socket has closed. From closing only.
 */
export type ConnectionState =
  | { readonly kind: 'recognising'; readonly deadline: Timer }
  | { readonly kind: 'open'; readonly endpoint: Endpoint }
  | { readonly kind: 'closing'; readonly reason: CloseReason; readonly deadline: Timer }
  | { readonly kind: 'closed'; readonly reason: CloseReason };
