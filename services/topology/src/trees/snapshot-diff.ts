import type { Job } from '@spanmesh/runtime/grpc/slices';

/** Numbers that are looked at for a unit of work: a tenth of a microsecond each. */
const NUMBERS_PER_UNIT = 16;

/**
 * The values whose numbers the list does not contain. Works in slices of `sliceUnits` units; between them neither
 * `held` nor the list may change.
 */
export function* missing<T>(
  held: ReadonlyMap<number, T>,
  listed: readonly { id: number }[],
  sliceUnits: number,
): Job<T[]> {
  const most = sliceUnits * NUMBERS_PER_UNIT;
  const ids = new Set<number>();
  const gone: T[] = [];
  let looked = 0;
  for (const { id } of listed) {
    ids.add(id);
    if (++looked % most === 0) yield sliceUnits;
  }
  for (const [id, object] of held) {
    if (!ids.has(id)) gone.push(object);
    if (++looked % most === 0) yield sliceUnits;
  }
  return gone;
}

/** Sorts by number. Numbers rise with time: objects added in this order keep the maps by number sorted. */
export function byId(a: { id: number }, b: { id: number }): number {
  return a.id - b.id;
}
