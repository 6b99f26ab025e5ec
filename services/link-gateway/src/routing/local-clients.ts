import { type Dialect, rulesOf } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import { encodeLnkSpan, LNK_SPAN_BYTES } from '@spanmesh/dmsg/payload/lnk-span';
import type { EndingJob, Transaction } from '@spanmesh/dmsg/transaction';
import type { Flow } from '@spanmesh/dmsg-socket/stream/flow';
import type { Clock } from '@spanmesh/runtime/clock';
import type { LinkId } from '@spanmesh/spantree/ids';
import type { GatewayMetrics } from '../metrics.ts';
import type { OpenTables } from '../peers/open-tables.ts';
import { type Link, OWN_SPAN, RelaySource } from '../peers/peer.ts';
import { addressOf } from './address.ts';
import { LocalRoute, type LocalRouteHandlers, type LocalWay } from './local-route.ts';
import type { Consolidation } from './reads/consolidation.ts';
import type { ReturnPathUser } from './return-path-user.ts';
import type { ReturnPaths } from './return-paths.ts';
import type { RouteClass } from './route-class.ts';
import type { TrunkRoutes } from './trunk-routes.ts';
import type { RemoteLinkKey, RouteSource } from './trunks.ts';

/** protocol.md, "The link layer": a router (linkid: cluster) is peer_type 1. */
const PEER_TYPE_ROUTER = 1;
const NIL_UUID = '00000000-0000-0000-0000-000000000000';

export interface LocalClientsOptions {
  /** Name of the gateway, which is the label of its own span. */
  readonly name: string;
  /** Node id (pfs_fsid) of the gateway's own span. */
  readonly node: string;
}

export interface LocalClientsDependencies {
  readonly clock: Clock;
  readonly flow: Flow;
  readonly metrics: GatewayMetrics;
  readonly tables: Pick<OpenTables, 'links'>;
  readonly trunkRoutes: TrunkRoutes;
  readonly returnPaths: ReturnPaths;
  /** Counts the messages on clients' routes. */
  readonly routes: RouteClass;
  /** null: no cluster's reads are consolidated. */
  readonly consolidation: Consolidation | null;
  /** Runs the job, which ends things of this principal: some at once, the rest in later turns of the event loop. */
  readonly inSlices: (principal: string, job: EndingJob) => void;
}

/**
 * Keeps the routes of clients in this process. Towards a linkid node they share one span, which the gateway offers on
 * the node's connection while any of them has a route to it, as the source of their messages (protocol.md, "Routing,
 * linkid").
 */
export class LocalClients {
  /** The gateway's own span for its clients. */
  readonly ownSpan: RelaySource;

  readonly #deps: LocalClientsDependencies;
  /** linkid: routes by the link that they lead to, to find the client for a transaction that the node begins. */
  readonly #byLink = new Map<string, Set<LocalRoute>>();
  readonly #open = new Set<LocalRoute>();

  constructor(options: LocalClientsOptions, deps: LocalClientsDependencies) {
    this.#deps = deps;
    this.ownSpan = new RelaySource('', OWN_SPAN, 'linkid', ownSpanPayload(options));
  }

  /** Number of routes that are open, or have closed and whose transactions have not all ended yet. */
  get open(): number {
    return this.#open.size;
  }

  /** Number of links in the table of linkid routes. */
  get links(): number {
    return this.#byLink.size;
  }

  /** True if a transaction of any client is in progress. */
  get isBusy(): boolean {
    for (const { openCount } of this.#open) if (openCount > 0) return true;
    return false;
  }

  /**
   * Opens a route to a link of this gateway (by its number) or of another one. null: the link is gone or cannot be
   * reached from here, or (linkid) its peer accepts no relay of our own span to send answers to.
   */
  openRoute(link: LinkId | RemoteLinkKey, dialect: Dialect, handlers: LocalRouteHandlers): LocalRoute | null {
    // The link, return path and trunk get their callbacks before the route object exists; it is filled in below.
    const late: { route: LocalRoute | null } = { route: null };
    const made = typeof link === 'number' ? this.#toLink(link, dialect, late) : this.#toGateway(link, dialect, late);
    if (made === null) return null;
    const key = rulesOf(dialect).stacked
      ? null
      : keyOf(typeof link === 'number' ? { gateway: '', number: link } : link);
    const route = new LocalRoute(handlers, made.way, {
      flow: this.#deps.flow,
      metrics: this.#deps.metrics,
      routes: this.#deps.routes,
      closed: () => {
        if (key !== null) this.#forget(key, route);
      },
      ended: () => {
        this.#open.delete(route);
        made.release();
      },
      inSlices: (job) => this.#deps.inSlices(handlers.principal ?? '', job),
    });
    late.route = route;
    this.#open.add(route);
    if (key !== null) this.#remember(key, route);
    return route;
  }

  /**
   * linkid: a node opens a transaction towards the gateway's own span. It goes to the client that opened a route to the
   * node first. False: no client has one.
   */
  opened(sender: RemoteLinkKey, tx: Transaction, frame: Frame): boolean {
    const route = this.#first(sender);
    route?.opened(tx, frame);
    return route !== undefined;
  }

  /** linkid: like `opened`, for a one-way message. */
  oneWay(sender: RemoteLinkKey, frame: Frame): boolean {
    const route = this.#first(sender);
    route?.heard(frame, null);
    return route !== undefined;
  }

  #toLink(number: LinkId, dialect: Dialect, late: { route: LocalRoute | null }): Made | null {
    const link = this.#deps.tables.links.get(number);
    const { endpoint } = link?.connection ?? { endpoint: null };
    if (link === undefined || endpoint === null || link.source.dialect !== dialect) return null;
    const pressure = link.connection;
    const linkUser = { linkClosing: () => late.route?.linkClosing() };
    const use = (way: LocalWay, release: () => void): Made => {
      link.users ??= new Set();
      link.users.add(linkUser);
      return {
        way,
        release: () => {
          link.users?.delete(linkUser);
          release();
        },
      };
    };
    if (rulesOf(dialect).stacked) {
      const blocks = this.#deps.consolidation?.of(link) ?? null;
      return use({ endpoint, circuit: link.tx, address: null, pressure, blocks }, () => {});
    }
    const { returnPaths, clock } = this.#deps;
    const user: ReturnPathUser = { returnPathClosing: () => late.route?.returnPathClosing() ?? null };
    const back = returnPaths.open(this.ownSpan, link.peer, user, clock.now());
    if (back === null) return null;
    return use({ endpoint, circuit: null, address: addressOf(back, link), pressure, blocks: null }, () =>
      returnPaths.release(back, user, clock.now()),
    );
  }

  #toGateway(link: RemoteLinkKey, dialect: Dialect, late: { route: LocalRoute | null }): Made | null {
    const { trunkRoutes } = this.#deps;
    const user = { routeGone: () => late.route?.routeGone() };
    const { stacked } = rulesOf(dialect);
    const source: RouteSource | null = stacked
      ? null
      : { gateway: '', number: OWN_SPAN, payload: this.ownSpan.payload };
    const circuit = trunkRoutes.use(link, dialect, source, 0, user);
    if (circuit === null) return null;
    return {
      way: { endpoint: circuit.endpoint, circuit, address: null, pressure: circuit.data, blocks: null },
      release: () => trunkRoutes.release(circuit, user),
    };
  }

  #first(sender: RemoteLinkKey): LocalRoute | undefined {
    return this.#byLink.get(keyOf(sender))?.values().next().value;
  }

  #remember(key: string, route: LocalRoute): void {
    let routes = this.#byLink.get(key);
    if (routes === undefined) {
      routes = new Set();
      this.#byLink.set(key, routes);
    }
    routes.add(route);
  }

  #forget(key: string, route: LocalRoute): void {
    const routes = this.#byLink.get(key);
    routes?.delete(route);
    if (routes?.size === 0) this.#byLink.delete(key);
  }
}

interface Made {
  readonly way: LocalWay;
  readonly release: () => void;
}

/** A link of this gateway as a RemoteLinkKey, with an empty gateway. */
export function keyOfLink(link: Link): RemoteLinkKey {
  return { gateway: '', number: link.id };
}

function keyOf({ gateway, number }: RemoteLinkKey): string {
  return `${gateway}/${number}`;
}

function ownSpanPayload({ name, node }: LocalClientsOptions): Buffer {
  const payload = Buffer.alloc(LNK_SPAN_BYTES);
  encodeLnkSpan(
    {
      dialect: 'linkid',
      clusterId: NIL_UUID,
      nodeId: node,
      pfsType: 0,
      peerType: PEER_TYPE_ROUTER,
      protoVersion: 1,
      status: 0,
      dist: 0,
      rnss: 0,
      mediaBlksize: 0,
      peerLabel: '',
      label: name,
    },
    payload,
    0,
  );
  return payload;
}
