import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { EndingJob, Transaction } from '@spanmesh/dmsg/transaction';
import { MAX_ROUTES_PER_CONNECTION } from '../limits.ts';
import type { GatewayMetrics } from '../metrics.ts';
import type { Links } from '../peers/links.ts';
import type { Link, Peer, Relay, RelaySource } from '../peers/peer.ts';
import type { Relays } from '../peers/relays.ts';
import type { AddressedRouting } from '../peers/routing.ts';
import { abort } from './abort.ts';
import { addressOf } from './address.ts';
import { LinkidJoin, LinkidJoined, LinkidRoute, type RouteWay } from './linkid-route.ts';
import { keyOfLink, type LocalClients } from './local-clients.ts';
import { useOf } from './relay-use.ts';
import type { ReturnPaths } from './return-paths.ts';
import { bytesOf, type RouteClasses } from './route-class.ts';
import type { TrunkRoutes } from './trunk-routes.ts';

export interface LinkidRoutingDependencies {
  readonly metrics: GatewayMetrics;
  readonly trunkRoutes: TrunkRoutes;
  readonly returnPaths: ReturnPaths;
  readonly clients: LocalClients;
  readonly classes: RouteClasses;
  readonly relays: Pick<Relays, 'relayOf'>;
  readonly links: Pick<Links, 'linkOf'>;
  /** Runs the job, which ends things of this principal: some at once, the rest in later turns of the event loop. */
  readonly inSlices: (principal: string, job: EndingJob) => void;
}

/** Passes on the linkid messages that name a target (protocol.md, "Routing, linkid"). */
export class LinkidRouting implements AddressedRouting {
  readonly #deps: LinkidRoutingDependencies;
  /** Handler for messages between two peers of this gateway. */
  readonly #joined: LinkidJoined;
  /** Handlers for messages that go out to another gateway, and for those that come from one. */
  readonly #joinedToTrunk: LinkidJoined;
  readonly #joinedFromTrunk: LinkidJoined;

  constructor(deps: LinkidRoutingDependencies) {
    this.#deps = deps;
    const { local, trunk } = deps.classes;
    this.#joined = new LinkidJoined(local, local.out);
    this.#joinedFromTrunk = new LinkidJoined(trunk, trunk.in);
    this.#joinedToTrunk = new LinkidJoined(trunk, trunk.out);
  }

  /** A peer opens a transaction towards another one. */
  open(peer: Peer, tx: Transaction, frame: Frame): void {
    const { clients, relays, links } = this.#deps;
    const { endpoint } = tx;
    // The target is a relay that we opened to this peer; the source is the peer's own span.
    const relay = relays.relayOf(endpoint.findOwn(tx.fromLo, tx.fromHi));
    const sender = links.linkOf(endpoint.findPeers(tx.toLo, tx.toHi));
    const source = sender?.source ?? (isNobody(tx.toLo, tx.toHi) ? clients.ownSpan : null);
    if (relay === null || source === null) {
      this.#throwAway(tx);
      return;
    }
    if (isOurOwn(relay)) {
      if (sender === null || !clients.opened(keyOfLink(sender), tx, frame)) this.#refuse(tx);
      return;
    }
    const route = this.#route(peer, relay, source);
    if (route === null) {
      this.#refuse(tx);
      return;
    }
    this.#join(route, tx, frame, peer.connection.heardAt);
  }

  /** A peer sends a one-way message: no state is kept for it. */
  oneWay(peer: Peer, frame: Frame): void {
    const { metrics, clients, relays, links } = this.#deps;
    const { endpoint } = peer.connection;
    if (endpoint === null) return;
    const relay = relays.relayOf(endpoint.findOwn(frame.targetLo, frame.targetHi));
    const { circuitLo, circuitHi } = frame;
    const sender = links.linkOf(endpoint.findPeers(circuitLo, circuitHi));
    const source = sender?.source ?? (isNobody(circuitLo, circuitHi) ? clients.ownSpan : null);
    if (relay === null || source === null) {
      metrics.routedDropped++;
      return;
    }
    if (isOurOwn(relay)) {
      if (sender === null || !clients.oneWay(keyOfLink(sender), frame)) metrics.routedDropped++;
      return;
    }
    const route = this.#route(peer, relay, source);
    if (route === null) {
      metrics.routedDropped++;
      return;
    }
    route.usedAt = peer.connection.heardAt;
    const { way } = route;
    const bytes = bytesOf(frame);
    if (!way.endpoint.forwardOneWay(frame, way.circuit, way.address)) metrics.routedDropped++;
    else this.#joinedOver(way).passed.add(bytes);
  }

  /**
   * Aborts the transaction: both spans exist, but there is no route between them. No span will close to tell the
   * sender.
   */
  #refuse(tx: Transaction): void {
    this.#deps.metrics.routedDropped++;
    abort(tx);
  }

  /**
   * Throws the message away and counts it, because its source or target is unknown (protocol.md, "Routing, linkid").
   * The sender learns it from its spans closing.
   */
  #throwAway(tx: Transaction): void {
    this.#deps.metrics.routedDropped++;
    tx.endpoint.abandon(tx);
  }

  #join(route: LinkidRoute, tx: Transaction, frame: Frame, now: number): void {
    const { way } = route;
    const bytes = bytesOf(frame);
    let far: Transaction<LinkidJoin>;
    try {
      const joined = way.circuit === null ? this.#joined : this.#joinedFromTrunk;
      far = way.endpoint.openForwarded(way.circuit, joined, frame, way.address);
    } catch (error) {
      if (!(error instanceof DmsgError)) throw error;
      this.#refuse(tx);
      return;
    }
    this.#deps.metrics.routedTransactions++;
    route.usedAt = now;
    const join = new LinkidJoin(route, tx, far);
    const handler = this.#joinedOver(way);
    handler.routes.opened();
    tx.endpoint.awaited++;
    far.endpoint.awaited++;
    handler.passed.add(bytes);
    tx.bind<LinkidJoin>(handler, join);
    far.data = join;
  }

  /** Handler of the sender's transactions on a route that goes this way. */
  #joinedOver({ circuit }: RouteWay): LinkidJoined {
    return circuit === null ? this.#joined : this.#joinedToTrunk;
  }

  /**
   * The route from the sender's span over the relay, made when first needed. null: the relay is closing, the connection
   * has too many routes, or the target or the return path cannot be reached.
   */
  #route(peer: Peer, relay: Relay, sender: RelaySource): LinkidRoute | null {
    if (relay.isClosing) return null;
    const use = useOf(relay);
    const known = use.routes.get(sender);
    if (known !== undefined) {
      const { circuit } = known.way;
      if (circuit === null || !(circuit.ended || circuit.txDeleted)) return known;
      known.close();
    }
    if (peer.routes >= MAX_ROUTES_PER_CONNECTION) return null;
    const { returnPaths, trunkRoutes, inSlices } = this.#deps;
    const now = peer.connection.heardAt;
    const route = new LinkidRoute(
      { relay, sender, now },
      {
        closed: ({ usedAt }) => {
          peer.routes--;
          returnPaths.routes.delete(route);
          use.routes.delete(sender);
          use.closing.add(route);
          use.usedAt = Math.max(use.usedAt, usedAt);
          sender.local?.users?.delete(route);
        },
        over: ({ way, usedAt }) => {
          use.closing.delete(route);
          if (way.back !== null) returnPaths.release(way.back, route, usedAt);
          else trunkRoutes.release(way.circuit, route);
        },
        inSlices,
      },
    );
    const way = this.#way(peer, route, now);
    if (way === null) return null;
    route.way = way;
    if (way.circuit !== null && sender.local !== null) endWithSender(route, sender.local);
    peer.routes++;
    use.routes.set(sender, route);
    returnPaths.add(route);
    return route;
  }

  #way(peer: Peer, route: LinkidRoute, now: number): RouteWay | null {
    const { trunkRoutes, returnPaths } = this.#deps;
    const { sender } = route;
    const { gateway, link, dialect, local } = route.relay.source;
    if (gateway !== '') {
      const source = { gateway: '', number: sender.link, payload: sender.payload };
      const circuit = trunkRoutes.use({ gateway, number: link }, dialect, source, peer.id, route);
      return circuit === null ? null : { endpoint: circuit.endpoint, address: null, circuit, back: null };
    }
    if (local === null) return null;
    const { endpoint } = local.connection;
    if (endpoint === null || local.peer === peer) return null;
    const back = returnPaths.open(sender, local.peer, route, now);
    return back === null ? null : { endpoint, address: addressOf(back, local), circuit: null, back };
  }
}

/**
 * Source 0: the sender is a leaf, a peer without a span; this gateway's own span stands for it (protocol.md, "Routing,
 * linkid").
 */
function isNobody(lo: number, hi: number): boolean {
  return lo === 0 && hi === 0;
}

/**
 * Ends the route when the sender's span closes. The return path is on the target's gateway, which learns that the span
 * has closed only from the end of the route.
 */
function endWithSender(route: LinkidRoute, link: Link): void {
  link.users ??= new Set();
  link.users.add(route);
}

function isOurOwn(relay: Relay): boolean {
  return relay.source.isOwnSpan && relay.source.gateway === '';
}
