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

/** The value of one metric. @throws Error: there is none of that name. */
export async function sample(httpPort: number, name: string): Promise<number> {
  const value = (await scrape(httpPort)).get(name);
  if (value === undefined) throw new Error(`no metric ${name}`);
  return value;
}

/** Metrics that must be 0 on a gateway without peers: sizes of tables, and waiting bytes. */
const KEPT =
  /^spanmesh_gateway_(open\{.*|queued_bytes|trunk_queued_bytes|trunk_transactions|trunk_routes|receive_pending_bytes)$/;

/** The metrics matched by KEPT whose values are not 0: what a gateway has in its tables and queues. */
export async function kept(httpPort: number, host?: string): Promise<Record<string, number>> {
  return Object.fromEntries(
    [...(await scrape(httpPort, host))].filter(([name, value]) => KEPT.test(name) && value !== 0),
  );
}
