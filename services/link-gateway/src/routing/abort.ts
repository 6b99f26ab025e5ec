import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Transaction } from '@spanmesh/dmsg/transaction';

/** Ends our direction, if it is open, because the route is gone (protocol.md, "Routing, circuit"). */
export function abort(tx: Transaction): void {
  tx.endpoint.end(tx, ErrorCode.LOSTLINK, true);
}
