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
