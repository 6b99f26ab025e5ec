import { apiDialect } from '@spanmesh/proto/dialect';
import type {
  GatewayTrafficServer,
  ListGatewayTrafficRequest,
  ListGatewayTrafficResponse,
  TrafficCounters,
} from '@spanmesh/proto/v1/traffic';
import { TrafficKind } from '@spanmesh/proto/v1/traffic';
import { Dialect } from '@spanmesh/proto/v1/types';
import type { Clock } from '@spanmesh/runtime/clock';
import type { GatewayId } from '@spanmesh/spantree/ids';
import type { Connection } from '../connection/connection.ts';
import type { TrafficCounts } from '../connection/traffic-counts.ts';
import { MAX_TRAFFIC_PAGE } from '../limits.ts';
import type { RouteClasses } from '../routing/route-class.ts';

/** The counters of a gateway. They are read only when somebody asks. */
export interface TrafficSources {
  /** Returns the id of this gateway, which may change. */
  readonly gateway: () => string;
  readonly connections: ReadonlyMap<
    number,
    { readonly connection: Pick<Connection, 'id' | 'remote' | 'dialect' | 'traffic'> }
  >;
  /** The established trunks, each with the id of the other gateway. */
  readonly trunks: () => Iterable<[string, TrafficCounts]>;
  readonly classes: RouteClasses;
  readonly clock: Pick<Clock, 'now'>;
}

/** Something with counters: the key to look it up and sort it by, and the function that shows it. */
interface Counted {
  readonly key: number | string;
  /** The counters; null: it has ended. */
  show(): Shown | null;
}

type Shown = Pick<TrafficCounters, 'id' | 'address' | 'dialect'> & TrafficCounts;

const KINDS: readonly TrafficKind[] = [
  TrafficKind.TRAFFIC_KIND_CONNECTION,
  TrafficKind.TRAFFIC_KIND_TRUNK,
  TrafficKind.TRAFFIC_KIND_ROUTE_CLASS,
];

/** The service GatewayTraffic of traffic.proto. */
export class GatewayTraffic {
  readonly #sources: TrafficSources;
  /** When the counting of route classes began, milliseconds of the monotonic clock. */
  readonly #since: number;

  constructor(sources: TrafficSources) {
    this.#sources = sources;
    this.#since = sources.clock.now();
  }

  readonly implementation: GatewayTrafficServer = {
    listGatewayTraffic: ({ request }, callback) => callback(null, this.list(request)),
  };

  /** Answers ListGatewayTraffic. */
  list({ pageSize, afterKind, afterId, kinds }: ListGatewayTrafficRequest): ListGatewayTrafficResponse {
    const size = Math.min(pageSize || MAX_TRAFFIC_PAGE, MAX_TRAFFIC_PAGE);
    const counters: TrafficCounters[] = [];
    for (const kind of KINDS) {
      if (kind < afterKind || (kinds.length > 0 && !kinds.includes(kind))) continue;
      for (const counted of this.#after(kind, kind === afterKind ? afterId : null)) {
        const shown = counted.show();
        if (shown === null) continue;
        if (counters.length === size) return { counters, more: true };
        counters.push({ ...shown, kind, gateway: '', label: '' });
      }
    }
    return { counters, more: false };
  }

  /** All things of a kind in order, after the one with this id; null: from the first. */
  #after(kind: TrafficKind, id: string | null): Counted[] {
    const key = id === null ? null : keyOf(kind, id);
    const all = key === null ? [...this.#all(kind)] : [...this.#all(kind)].filter((counted) => counted.key > key);
    return all.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  *#all(kind: TrafficKind): Iterable<Counted> {
    const { gateway, connections, trunks, classes, clock } = this.#sources;
    if (kind === TrafficKind.TRAFFIC_KIND_CONNECTION) {
      for (const { connection } of connections.values()) {
        yield { key: connection.id, show: () => showConnection(connection, gateway()) };
      }
    } else if (kind === TrafficKind.TRAFFIC_KIND_TRUNK) {
      for (const [key, counts] of trunks()) yield { key, show: () => ({ id: key, ...NO_PEER, ...counts }) };
    } else {
      const ageMs = clock.now() - this.#since;
      for (const [key, routes] of Object.entries(classes)) {
        yield { key, show: () => ({ id: key, ...NO_PEER, ...routes.traffic(ageMs) }) };
      }
    }
  }
}

const NO_PEER = { address: '', dialect: Dialect.DIALECT_UNSPECIFIED };

function showConnection(
  { id, remote, dialect, traffic }: Pick<Connection, 'id' | 'remote' | 'dialect' | 'traffic'>,
  gateway: GatewayId,
): Shown | null {
  if (traffic === null || dialect === null) return null;
  return { id: `${gateway}:${id}`, address: remote, dialect: apiDialect(dialect), ...traffic };
}

/** The sort key of an id. For a connection it is its number, whatever gateway the id names; 0 for malformed ids. */
function keyOf(kind: TrafficKind, id: string): number | string {
  if (kind !== TrafficKind.TRAFFIC_KIND_CONNECTION) return id;
  return Number(/:(\d{1,15})$/.exec(id)?.[1] ?? 0);
}
