import { type Dialect, rulesOf } from '@spanmesh/dmsg/dialect';
import { LNK_SPAN_BYTES } from '@spanmesh/dmsg/payload/lnk-span';
import type { EndingJob, Transaction } from '@spanmesh/dmsg/transaction';
import type { Clock } from '@spanmesh/runtime/clock';
import type { LinkId } from '@spanmesh/spantree/ids';
import type { GatewayMetrics } from '../metrics.ts';
import type { OpenTables } from '../peers/open-tables.ts';
import { OWN_SPAN, RelaySource } from '../peers/peer.ts';
import { addressOf } from './address.ts';
import { ArrivedAtClients } from './arrived-at-clients.ts';
import { ArrivedRoute } from './arrived-route.ts';
import type { Joins } from './joins.ts';
import type { LocalClients } from './local-clients.ts';
import type { Consolidation } from './reads/consolidation.ts';
import type { ReturnPaths } from './return-paths.ts';
import type { TrunkRoutes } from './trunk-routes.ts';
import type { RemoteLinkKey, RouteEnd, RouteSource, RouteTerminal } from './trunks.ts';

export interface ArrivedRoutesDependencies {
  readonly clock: Clock;
  readonly metrics: GatewayMetrics;
  readonly tables: Pick<OpenTables, 'links' | 'source' | 'keepRemote'>;
  readonly trunkRoutes: TrunkRoutes;
  readonly returnPaths: ReturnPaths;
  readonly clients: LocalClients;
  readonly joins: Joins;
  /** Runs the job, which ends things of this principal: some at once, the rest in later turns of the event loop. */
  readonly inSlices: (principal: string, job: EndingJob) => void;
  /** null: no cluster's reads are consolidated. */
  readonly consolidation: Consolidation | null;
}

/**
 * Takes the routes that other gateways open to links of this one, and (linkid) to this gateway's own span for its
 * clients.
 */
export class ArrivedRoutes implements RouteTerminal {
  readonly #deps: ArrivedRoutesDependencies;
  readonly #open = new Set<RouteEnd>();

  constructor(deps: ArrivedRoutesDependencies) {
    this.#deps = deps;
  }

  /** Number of routes that are open. */
  get size(): number {
    return this.#open.size;
  }

  routeOpened(route: Transaction, link: LinkId, dialect: Dialect, source: RouteSource | null): RouteEnd | null {
    const { stacked } = rulesOf(dialect);
    if (!stacked && (source === null || source.gateway === '' || source.payload.length < LNK_SPAN_BYTES)) {
      return null;
    }
    if (link === OWN_SPAN) return source === null || stacked ? null : this.#toClients(source);
    const { tables, returnPaths, clock, joins, consolidation, inSlices } = this.#deps;
    const found = tables.links.get(link);
    if (found === undefined || found.source.dialect !== dialect || found.connection.endpoint === null) return null;
    const arrived = new ArrivedRoute(route, found, {
      inSlices,
      joined: consolidation?.of(found)?.fromTrunk ?? joins.fromTrunk,
      ended: (ended) => {
        this.#open.delete(ended);
        found.users?.delete(ended);
        if (ended.back !== null) returnPaths.release(ended.back, ended, clock.now());
      },
    });
    if (!stacked) {
      const { gateway, number, payload } = source!;
      const sender = tables.source(gateway, number) ?? new RelaySource(gateway, number, dialect, Buffer.from(payload));
      const back = returnPaths.open(sender, found.peer, arrived, clock.now());
      if (back === null) return null;
      // The sender's link is kept only once its return path is open: otherwise a peer of another gateway could fill
      // this table with spans for which no return path can be opened.
      tables.keepRemote(sender);
      arrived.back = back;
      arrived.address = addressOf(back, found);
    }
    found.users ??= new Set();
    found.users.add(arrived);
    this.#open.add(arrived);
    return arrived;
  }

  routeEnded(route: Transaction): void {
    this.#deps.trunkRoutes.gone(route);
  }

  #toClients({ gateway, number }: RemoteLinkKey): RouteEnd {
    const { clients, metrics } = this.#deps;
    const ended = (route: RouteEnd) => void this.#open.delete(route);
    const arrived = new ArrivedAtClients({ gateway, number }, { clients, metrics, ended });
    this.#open.add(arrived);
    return arrived;
  }
}
