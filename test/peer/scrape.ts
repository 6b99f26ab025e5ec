/** Samples of a process's metrics: name with labels → value. */
export async function scrape(httpPort: number, host = '127.0.0.1'): Promise<Map<string, number>> {
  const response = await fetch(`http://${host}:${httpPort}/metrics`);
  const samples = new Map<string, number>();
  for (const line of (await response.text()).split('\n')) {
    const match = /^([a-zA-Z_:][^ ]*(?:\{[^}]*\})?) ([^ ]+)$/.exec(line);
    if (match !== null) samples.set(match[1]!, Number(match[2]));
  }
  return samples;
}

/** One of them. @throws Error: there is none of that name. */
export async function sample(httpPort: number, name: string): Promise<number> {
  const value = (await scrape(httpPort)).get(name);
  if (value === undefined) throw new Error(`no metric ${name}`);
  return value;
}

/** What must be 0 on a gateway without peers: entries of tables, and bytes that wait. */
const KEPT =
  /^spanmesh_gateway_(open\{.*|queued_bytes|trunk_queued_bytes|trunk_transactions|trunk_routes|receive_pending_bytes)$/;

/** What a gateway holds: samples that are not 0, and are 0 when it has no peers. */
export async function kept(httpPort: number, host?: string): Promise<Record<string, number>> {
  return Object.fromEntries(
    [...(await scrape(httpPort, host))].filter(([name, value]) => KEPT.test(name) && value !== 0),
  );
}
