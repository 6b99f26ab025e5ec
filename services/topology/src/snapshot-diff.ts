import type { RelaySet } from '@spanmesh/proto/v1/gateway_control';
import type { Link } from '@spanmesh/spantree/tree';

/** What is held and not in the list any more. */
export function missing<T>(held: ReadonlyMap<number, T>, listed: readonly { id: number }[]): T[] {
  const ids = new Set(listed.map(({ id }) => id));
  const gone: T[] = [];
  for (const [id, object] of held) if (!ids.has(id)) gone.push(object);
  return gone;
}

/** Numbers rise with time: adding in their order keeps the maps by number in order. */
export function byId(a: { id: number }, b: { id: number }): number {
  return a.id - b.id;
}

/** By link: numbers of LNK_CONNs. What cannot be resolved is left out. */
export function pairsOf(
  sets: readonly RelaySet[],
  resolve: (linkGateway: string, link: number) => Link | undefined,
): Map<Link, Set<number>> {
  const pairs = new Map<Link, Set<number>>();
  for (const { linkGateway, link: number, lnkConns } of sets) {
    const link = resolve(linkGateway, number);
    if (link === undefined) continue;
    const ids = pairs.get(link);
    if (ids === undefined) pairs.set(link, new Set(lnkConns));
    else for (const id of lnkConns) ids.add(id);
  }
  return pairs;
}
