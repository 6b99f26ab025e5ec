import type { Random } from '@spanmesh/runtime/random';
import type { Peer } from '../peers/peer.ts';
import { hasRouted } from '../routing/in-progress.ts';

/**
 * A share (0 to 1) of the accepted connections, those that are on their way out already not counted. Those without a transaction in
 * progress come first, as nobody notices when they move. Among equals at random: the youngest would be those that the drain before has
 * just moved, the oldest perhaps all of one site.
 */
export function chooseShare(peers: Iterable<Peer>, share: number, random: Random): Peer[] {
  const quiet: Peer[] = [];
  const busy: Peer[] = [];
  for (const peer of peers) {
    if (peer.connection.origin.kind !== 'accepted' || peer.leaving !== null) continue;
    (hasRouted(peer) ? busy : quiet).push(peer);
  }
  const wanted = Math.round((quiet.length + busy.length) * share);
  const chosen = anyOf(quiet, wanted, random);
  return [...chosen, ...anyOf(busy, wanted - chosen.length, random)];
}

/** So many of them, or all. They are put into another order. */
function anyOf(all: Peer[], wanted: number, random: Random): Peer[] {
  const count = Math.min(wanted, all.length);
  // The first steps of a Fisher-Yates shuffle.
  for (let i = 0; i < count; i++) {
    const j = i + Math.floor(random() * (all.length - i));
    const [one, other] = [all[i], all[j]];
    if (one === undefined || other === undefined) break;
    all[i] = other;
    all[j] = one;
  }
  return all.slice(0, count);
}
