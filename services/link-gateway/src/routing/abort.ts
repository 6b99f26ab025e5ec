import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { EndingJob, Transaction } from '@spanmesh/dmsg/transaction';

/** Transactions, or pairs of joined ones, that end between two `yield`s of a job. */
const ENDED_AT_ONCE = 64;

/**
 * Aborts our direction of a transaction with LOSTLINK, if it is still open, because its route is gone (protocol.md,
 * "Routing, circuit").
 */
export function abort(tx: Transaction): void {
  tx.endpoint.end(tx, ErrorCode.LOSTLINK, true);
}

/** Ends one after the other, in slices. `endNext` ends one of them; false: none is left. */
export function* endEach(endNext: () => boolean): EndingJob {
  let units = 0;
  while (endNext()) {
    if (++units < ENDED_AT_ONCE) continue;
    yield units;
    units = 0;
  }
  if (units > 0) yield units;
}
