import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Flow } from '../connection/flow.ts';
import type { GatewayMetrics } from '../metrics.ts';
import type { OpenTables } from '../peers/open-tables.ts';
import { type Peer, Relay } from '../peers/peer.ts';
import { Relays } from '../peers/relays.ts';
import type { Routing } from '../peers/routing.ts';
import { ArrivedRoutes } from './arrived-routes.ts';
import { abortPartnersOn, Joined } from './joined.ts';
import { Joins } from './joins.ts';
import { isLinkLayer } from './link-layer.ts';
import { LinkidRouting } from './linkid-routing.ts';
import { LocalClients, type LocalClientsOptions } from './local-clients.ts';
import { LocalRoute } from './local-route.ts';
import { linkidUse } from './relay-use.ts';
import { ReturnPaths } from './return-paths.ts';
import { bytesOf, RouteClasses } from './route-class.ts';
import { TrunkRoutes } from './trunk-routes.ts';
import type { Trunks } from './trunks.ts';

export interface RouterOptions extends LocalClientsOptions {
  /** How long a route, and then a relay that is open on demand only, may be unused, in milliseconds. */
  readonly onDemandIdle: number;
}

export interface RouterDependencies {
  readonly clock: Clock;
  readonly metrics: GatewayMetrics;
  readonly tables: OpenTables;
  readonly relays: Relays;
  readonly flow: Flow;
  readonly trunks: Trunks;
}

/** The data plane: what peers send each other through this gateway (protocol.md, "Routing"). */
export class Router implements Routing {
  /** For the trunks. */
  readonly terminal: ArrivedRoutes;
  /** For clients in this process. */
  readonly clients: LocalClients;
  /** What has passed on routes so far. */
  readonly classes = new RouteClasses();

  readonly #metrics: GatewayMetrics;
  readonly #trunkRoutes: TrunkRoutes;
  readonly #returnPaths: ReturnPaths;
  readonly #linkid: LinkidRouting;
  readonly #joins: Joins;

  constructor(options: RouterOptions, { clock, metrics, tables, relays, flow, trunks }: RouterDependencies) {
    this.#metrics = metrics;
    const trunkRoutes = new TrunkRoutes({ trunks, flow });
    const returnPaths = new ReturnPaths({ idleMs: options.onDemandIdle }, { relays, clock });
    this.#trunkRoutes = trunkRoutes;
    this.#returnPaths = returnPaths;
    const { classes } = this;
    const joins = new Joins({ metrics, trunkRoutes, clock, classes });
    this.#joins = joins;
    const { client } = classes;
    this.clients = new LocalClients(options, { clock, flow, tables, trunks, trunkRoutes, returnPaths, routes: client });
    this.terminal = new ArrivedRoutes({
      clock,
      metrics,
      tables,
      trunkRoutes,
      returnPaths,
      clients: this.clients,
      joins,
    });
    this.#linkid = new LinkidRouting({ metrics, trunkRoutes, returnPaths, clients: this.clients, classes });
    relays.onClosing = (relay) => this.relayClosing(relay);
  }

  /** What is open, for whoever embeds the gateway. */
  counts(): Record<'routes' | 'trunkRoutes' | 'arrivedRoutes' | 'localRoutes', number> {
    return {
      routes: this.#returnPaths.routes.size,
      trunkRoutes: this.#trunkRoutes.size,
      arrivedRoutes: this.terminal.size,
      localRoutes: this.clients.open,
    };
  }

  stop(): void {
    this.#returnPaths.stop();
  }

  open(peer: Peer, tx: Transaction, frame: Frame): boolean {
    if (isLinkLayer(frame)) {
      this.#metrics.routedDropped++;
      tx.endpoint.end(tx, ErrorCode.NOSUPP);
      return true;
    }
    const { circuit } = tx;
    if (circuit === null) {
      this.#linkid.open(peer, tx, frame);
      return true;
    }
    const { handler } = circuit;
    if (handler instanceof Joined) {
      this.#joins.stackOnJoined(tx, circuit, frame);
      return true;
    }
    if (handler instanceof LocalRoute) {
      handler.opened(tx, frame);
      return true;
    }
    // Anything else is the peer's own, or ours and for ourselves (protocol.md, "Routing, circuit").
    if (!(handler instanceof Relays)) return false;
    const target = this.#targetOf(circuit);
    const joins = this.#joins;
    if (target === null) {
      joins.refuse(tx);
    } else if (isRemote(circuit)) {
      this.#trunkRoutes.sentOn(target);
      joins.stack(tx, target, frame, joins.toTrunk, joins.fromTrunk);
    } else {
      joins.stack(tx, target, frame, joins.toPeer, joins.toPeer);
    }
    return true;
  }

  oneWay(peer: Peer, frame: Frame, circuit: Transaction | null): boolean {
    if (isLinkLayer(frame)) {
      this.#metrics.routedDropped++;
      return true;
    }
    if (circuit === null) {
      this.#linkid.oneWay(peer, frame);
      return true;
    }
    const { handler } = circuit;
    if (handler instanceof LocalRoute) {
      handler.heard(frame, circuit);
      return true;
    }
    const isJoined = handler instanceof Joined;
    if (!isJoined && !(handler instanceof Relays)) return false;
    const target = isJoined ? (circuit.data as Transaction) : this.#targetOf(circuit);
    const bytes = bytesOf(frame);
    if (target === null || target.txDeleted || !target.endpoint.forwardOneWay(frame, target)) {
      this.#metrics.routedDropped++;
      return true;
    }
    const { toTrunk, toPeer } = this.#joins;
    const by = isJoined ? handler : isRemote(circuit) ? toTrunk : toPeer;
    by.passed.add(bytes);
    by.note(target);
    return true;
  }

  relayClosing(relay: Relay): void {
    const { tx, route } = relay;
    const use = linkidUse(relay);
    // What is stacked on it (circuit) is ended by the endpoint; its other halves are ended here.
    if (tx !== null) abortPartnersOn(tx);
    if (use !== null) this.#linkid.relayClosing(use);
    if (route !== null) {
      relay.route = null;
      this.#trunkRoutes.release(route, relay);
    }
  }

  /** circuit: what the link of a relay is for those who open transactions on it; null: out of reach. */
  #targetOf(relayTx: Transaction): Transaction | null {
    const relay = relayTx.data;
    // Without data we have closed it, and the peer does not know yet.
    if (!(relay instanceof Relay)) return null;
    const { local, gateway, link, dialect } = relay.source;
    if (local !== null) return local.tx;
    if (relay.route !== null && !relay.route.ended && !relay.route.txDeleted) return relay.route;
    if (gateway === '') return null;
    const served = relay.lnkConn.peer.id;
    relay.route = this.#trunkRoutes.use({ gateway, number: link }, dialect, null, served, relay);
    return relay.route;
  }
}

/** The transaction of a relay whose link is on another gateway. */
function isRemote(relayTx: Transaction): boolean {
  return (relayTx.data as Relay).source.gateway !== '';
}
