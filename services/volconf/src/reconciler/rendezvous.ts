/**
 * The candidate that ranks highest for a key (rendezvous hashing). Every replica chooses the same one. When a candidate
 * is added or removed, only the keys that it takes or had are chosen anew. null: there are no candidates.
 */
export function rendezvous<T>(key: string, candidates: Iterable<T>, nameOf: (candidate: T) => string): T | null {
  let best: T | null = null;
  let bestRank = -1;
  let bestName = '';
  for (const candidate of candidates) {
    const name = nameOf(candidate);
    const rank = hash(`${name}\n${key}`);
    if (rank > bestRank || (rank === bestRank && name > bestName)) {
      best = candidate;
      bestRank = rank;
      bestName = name;
    }
  }
  return best;
}

/** 32 bits: FNV-1a, then the final mixing of MurmurHash3, so that keys that differ in one digit rank independently. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  }
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
