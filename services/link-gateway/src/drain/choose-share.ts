import type { Random } from '@spanmesh/runtime/random';
import type { Peer } from '../peers/peer.ts';
import { hasRouted } from '../routing/in-progress.ts';

/**
 * Chooses a share (0 to 1) of the accepted connections that are not leaving already. Connections without a transaction
 * in progress come first: nobody notices when they move. Among equals the choice is random: the youngest may be those
 * that an earlier drain has just moved, and the oldest may all be of one site.
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

/** `wanted` of them at random, or all if there are fewer. Changes the order of `all`. */
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
