import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Transaction } from '@spanmesh/dmsg/transaction';

/** Transactions that end between two `yield`s of a job. */
export const ENDED_AT_ONCE = 64;

/**
 * Aborts our direction of a transaction with LOSTLINK, if it is still open, because its route is gone (protocol.md,
 * "Routing, circuit").
 */
export function abort(tx: Transaction): void {
  tx.endpoint.end(tx, ErrorCode.LOSTLINK, true);
}
