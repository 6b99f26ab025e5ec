import type { Clock } from '@spanmesh/runtime/clock';
import type { Peer } from '../peers/peer.ts';

/**
 * Waits up to `ms` milliseconds for the peer of a dialled connection to answer our LNK_CONN. True: it has accepted or
 * refused it. False: it has not, or the connection has ended. At most one caller may wait for a connection.
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
