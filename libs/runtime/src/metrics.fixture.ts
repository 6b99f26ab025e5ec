import type { Metrics } from './metrics.ts';

/**
 * The product's own samples in a scrape: name (with labels) without `spanmesh_` → value. Buckets of histograms are left
 * out.
 */
export async function samples(metrics: Pick<Metrics, 'text'>): Promise<Record<string, number>> {
  const lines = (await metrics.text()).split('\n').flatMap((line) => /^spanmesh_(.+) (\S+)$/.exec(line) ?? []);
  const found: Record<string, number> = {};
  for (let at = 0; at < lines.length; at += 3) {
    const [name = '', value = ''] = [lines[at + 1], lines[at + 2]];
    if (!name.includes('_bucket{')) found[name] = Number(value);
  }
  return found;
}

/** By how much each sample has changed after an action; unchanged ones are left out. */
export async function changes(metrics: Pick<Metrics, 'text'>, cause: () => unknown): Promise<Record<string, number>> {
  const before = await samples(metrics);
  await cause();
  const after = Object.entries(await samples(metrics));
  return Object.fromEntries(
    after.map(([name, value]) => [name, value - (before[name] ?? 0)] as const).filter(([, by]) => by !== 0),
  );
}
