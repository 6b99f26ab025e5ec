import type { Clock } from '@spanmesh/runtime/clock';
import type { Peer } from '../peers/peer.ts';

/**
 * Has the peer of a dialled connection answered our LNK_CONN, one way or the other, `ms` milliseconds from now? False also as soon as the
 * connection ends. At most one may wait for a connection.
 */
export async function answered(
  peer: Peer,
  { ms, clock }: { readonly ms: number; readonly clock: Clock },
): Promise<boolean> {
  if (peer.hasAnswered) return true;
  const outcome = Promise.withResolvers<boolean>();
  const deadline = clock.after(ms, () => outcome.resolve(false));
  peer.onAnswered = outcome.resolve;
  try {
    return await outcome.promise;
  } finally {
    deadline.cancel();
    peer.onAnswered = null;
  }
}
