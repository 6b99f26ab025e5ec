import type { Frame } from '@spanmesh/dmsg/frame';
import type { EndingJob, Transaction } from '@spanmesh/dmsg/transaction';
import type { Flow } from '@spanmesh/dmsg-socket/stream/flow';
import type { Clock } from '@spanmesh/runtime/clock';
import type { TableSizes } from '@spanmesh/runtime/table-sizes';
import type { GatewayMetrics } from '../metrics.ts';
import { isLinkLayer, refusesLinkLayer } from '../peers/link-layer.ts';
import type { Links } from '../peers/links.ts';
import type { OpenTables } from '../peers/open-tables.ts';
import type { Relay } from '../peers/peer.ts';
import type { Relays } from '../peers/relays.ts';
import type { AddressedRouting, RelayRouting } from '../peers/routing.ts';
import { ArrivedRoutes } from './arrived-routes.ts';
import type { Joined } from './joined.ts';
import { Joins } from './joins.ts';
import { LinkidRouting } from './linkid-routing.ts';
import { LocalClients, type LocalClientsOptions } from './local-clients.ts';
import { Consolidation } from './reads/consolidation.ts';
import { ReturnPaths } from './return-paths.ts';
import { RouteClasses } from './route-class.ts';
import { TrunkRoutes } from './trunk-routes.ts';
import type { Trunks } from './trunks.ts';

export interface RouterOptions extends LocalClientsOptions {
  /** Milliseconds for which a route may be unused before it closes, and then again its on-demand relay. */
  readonly onDemandIdle: number;
  /** Clusters whose reads are consolidated; default: none. */
  readonly consolidateReads?: readonly string[];
}

export interface RouterDependencies {
  readonly clock: Clock;
  readonly metrics: GatewayMetrics;
  readonly tables: OpenTables;
  readonly relays: Relays;
  readonly links: Pick<Links, 'linkOf'>;
  readonly flow: Flow;
  readonly trunks: Trunks;
  /** Runs the job, which ends things of this principal: some at once, the rest in later turns of the event loop. */
  readonly inSlices: (principal: string, job: EndingJob) => void;
}

/** The data plane: passes on the messages that peers send each other through this gateway (protocol.md, "Routing"). */
export class Router implements RelayRouting {
  /** Takes the routes that other gateways open here; used by the trunks. */
  readonly terminal: ArrivedRoutes;
  /** Opens the routes of clients in this process. */
  readonly clients: LocalClients;
  /** Counts of the messages passed on so far, by class of route. */
  readonly classes: RouteClasses = new RouteClasses();

  readonly #metrics: GatewayMetrics;
  readonly #trunkRoutes: TrunkRoutes;
  readonly #returnPaths: ReturnPaths;
  readonly #linkid: LinkidRouting;
  readonly #joins: Joins;
  /** null: no cluster's reads are consolidated. */
  readonly #consolidation: Consolidation | null;

  constructor(options: RouterOptions, deps: RouterDependencies) {
    const { clock, metrics, tables, relays, links, flow, trunks, inSlices } = deps;
    this.#metrics = metrics;
    const trunkRoutes = new TrunkRoutes(trunks);
    const returnPaths = new ReturnPaths({ idleMs: options.onDemandIdle }, { relays, clock });
    this.#trunkRoutes = trunkRoutes;
    this.#returnPaths = returnPaths;
    const { classes } = this;
    const joins = new Joins({ metrics, clock, classes });
    this.#joins = joins;
    const { consolidateReads = [] } = options;
    const { sample } = joins;
    this.#consolidation =
      consolidateReads.length === 0
        ? null
        : new Consolidation(consolidateReads, { metrics, sample, classes, inSlices });
    const consolidation = this.#consolidation;
    const routes = classes.client;
    const clients = new LocalClients(options, {
      clock,
      flow,
      metrics,
      tables,
      trunkRoutes,
      returnPaths,
      routes,
      consolidation,
      inSlices,
    });
    this.clients = clients;
    this.terminal = new ArrivedRoutes({
      clock,
      metrics,
      tables,
      trunkRoutes,
      returnPaths,
      clients,
      joins,
      consolidation,
      inSlices,
    });
    this.#linkid = new LinkidRouting({ metrics, trunkRoutes, returnPaths, clients, classes, relays, links, inSlices });
    relays.routing = this;
  }

  /** linkid: takes the messages of peers that name a target. */
  get addressed(): AddressedRouting {
    return this.#linkid;
  }

  /** Numbers of open routes, for programs that embed the gateway. */
  counts(): Record<'routes' | 'trunkRoutes' | 'arrivedRoutes' | 'localRoutes', number> {
    return {
      routes: this.#returnPaths.routes.size,
      trunkRoutes: this.#trunkRoutes.size,
      arrivedRoutes: this.terminal.size,
      localRoutes: this.clients.open,
    };
  }

  /** Sizes of all tables of routing. */
  tables(): TableSizes {
    return {
      ...this.counts(),
      returnPathsOnDemand: this.#returnPaths.onDemand,
      linksOfLocalRoutes: this.clients.links,
      sampledTransactions: this.#joins.sampled,
      consolidatedLinks: this.#consolidation?.links ?? 0,
      consolidatedTransactions: this.#consolidation?.sent ?? 0,
      consolidatedKeptBytes: this.#consolidation?.keptBytes ?? 0,
    };
  }

  stop(): void {
    this.#returnPaths.stop();
  }

  open(relay: Relay | null, tx: Transaction, frame: Frame): void {
    if (refusesLinkLayer(tx, frame, this.#metrics)) return;
    this.#joinedOver(relay).stack(tx, this.#targetOf(relay), frame);
  }

  oneWay(relay: Relay | null, frame: Frame): void {
    this.#joinedOver(relay).sendOneWay(frame, isLinkLayer(frame) ? null : this.#targetOf(relay));
  }

  closing(relay: Relay): EndingJob | null {
    const { route } = relay;
    // The endpoint ends the transactions that are stacked on the relay (circuit), and so their other halves
    // (joined.ts).
    const rest = relay.use?.relayClosing() ?? null;
    this.#returnPaths.forget(relay);
    if (route !== null) {
      relay.route = null;
      this.#trunkRoutes.release(route, relay);
    }
    return rest;
  }

  /** circuit: handler of the transactions that the relay's peer opens on it. */
  #joinedOver(relay: Relay | null): Joined {
    if (relay === null) return this.#joins.toPeer;
    const { gateway, local } = relay.source;
    if (gateway !== '') return this.#joins.toTrunk;
    if (this.#consolidation === null || local === null) return this.#joins.toPeer;
    return this.#consolidation.of(local)?.toPeer ?? this.#joins.toPeer;
  }

  /**
   * circuit: the transaction to stack on for a transaction opened on this relay: the link's, or the route transaction
   * to its gateway. null: the link cannot be reached.
   */
  #targetOf(relay: Relay | null): Transaction | null {
    if (relay === null) return null;
    const { local, gateway, link, dialect, isClosing } = relay.source;
    if (isClosing) return null;
    if (local !== null) return local.tx;
    if (relay.route !== null && !relay.route.ended && !relay.route.txDeleted) return relay.route;
    if (gateway === '') return null;
    const served = relay.lnkConn.peer.id;
    // The route transaction was lost with its trunk, or is ending; the relay may not have been told of that yet.
    if (relay.route !== null) this.#trunkRoutes.release(relay.route, relay);
    relay.route = this.#trunkRoutes.use({ gateway, number: link }, dialect, null, served, relay);
    return relay.route;
  }
}
