import { KEPT as GATEWAY_KEPT } from '@spanmesh/link-gateway/gateway-service';
import { until } from '@spanmesh/runtime/patience.fixture';
import type { Explained } from '@spanmesh/runtime/table-sizes';
import { KEPT as TOPOLOGY_KEPT } from '@spanmesh/topology/core';
import { KEPT as VOLCONF_KEPT } from '@spanmesh/volconf/term';

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

/** Metrics that must be 0 on a gateway without peers, besides the sizes of tables. */
const WAITING =
  /^spanmesh_gateway_(queued_bytes|trunk_queued_bytes|trunk_transactions|trunk_routes|receive_pending_bytes)$/;
/** The size of a table: `spanmesh_gateway_open{table="links"}`. */
const TABLE = /^spanmesh_(gateway|topology|volconf)_open\{table="(.+)"\}$/;

/** Entries that running services have because of each other and of API followers, with the reason for each. */
export const SERVICES: Explained = {
  gateways: 'they are attached',
  queues: 'one each',
  streams: 'one each',
  watches: 'somebody follows the API',
  mediaWatches: 'volconf watches each gateway',
  drains: 'the last ones of each gateway are shown',
};

const KEPT: Readonly<Record<string, Explained>> = {
  gateway: { ...GATEWAY_KEPT, ...SERVICES },
  topology: { ...TOPOLOGY_KEPT, ...SERVICES },
  volconf: { ...VOLCONF_KEPT, ...SERVICES },
};

/**
 * What a process has in its tables and queues and nothing explains, once all peers and clients have left: metrics that
 * are not 0.
 */
export async function kept(httpPort: number, host?: string): Promise<Record<string, number>> {
  const samples = await scrape(httpPort, host);
  // A standby has what its leader has; the leader is asked.
  const leads = samples.get('spanmesh_topology_leading') !== 0;
  const isKept = ([name, value]: [string, number]): boolean => {
    if (value === 0) return false;
    const [, service = '', table = ''] = TABLE.exec(name) ?? [];
    if (service === '') return WAITING.test(name);
    return KEPT[service]?.[table] === undefined && (service !== 'topology' || leads);
  };
  return Object.fromEntries([...samples].filter(isKept));
}

/** Between two looks, ms: each is a scrape. */
const LOOK_MS = 20;

/** Waits until processes hold nothing of peers and clients that have gone. */
export async function emptied(processes: Iterable<{ readonly http: number; readonly name: string }>): Promise<void> {
  const left = [...processes];
  let found: [string, Record<string, number>][] = [];
  await until(
    async () => {
      const all = await Promise.all(
        left.map(async ({ http, name }) => [name, await kept(http)] as [string, Record<string, number>]),
      );
      found = all.filter(([, held]) => Object.keys(held).length > 0);
      return found.length === 0;
    },
    () => `all have gone, and something is left: ${JSON.stringify(found)}`,
    { everyMs: LOOK_MS },
  );
}
