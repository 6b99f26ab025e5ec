import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import { LNK_SPAN_BYTES } from '@spanmesh/dmsg/payload/lnk-span';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Clock } from '@spanmesh/runtime/clock';
import type { GatewayMetrics } from '../metrics.ts';
import type { OpenTables } from '../peers/open-tables.ts';
import { OWN_SPAN, RelaySource } from '../peers/peer.ts';
import { addressOf } from './address.ts';
import { ArrivedRoute } from './arrived-route.ts';
import { Joined } from './joined.ts';
import type { Joins } from './joins.ts';
import type { LocalClients } from './local-clients.ts';
import { LocalRoute } from './local-route.ts';
import type { ReturnPaths } from './return-paths.ts';
import { bytesOf } from './route-class.ts';
import type { TrunkRoutes } from './trunk-routes.ts';
import type { RemoteLinkKey, RouteSource, RouteTerminal } from './trunks.ts';

export interface ArrivedRoutesDependencies {
  readonly clock: Clock;
  readonly metrics: GatewayMetrics;
  readonly tables: Pick<OpenTables, 'links' | 'source' | 'keepRemote'>;
  readonly trunkRoutes: TrunkRoutes;
  readonly returnPaths: ReturnPaths;
  readonly clients: LocalClients;
  readonly joins: Joins;
}

/** Routes of other gateways to links of this one, and (linkid) to the span of this gateway for its own clients. */
export class ArrivedRoutes implements RouteTerminal {
  readonly #deps: ArrivedRoutesDependencies;
  readonly #toLinks = new Map<Transaction, ArrivedRoute>();
  /** To the own span: from which link. */
  readonly #toClients = new Map<Transaction, RemoteLinkKey>();

  constructor(deps: ArrivedRoutesDependencies) {
    this.#deps = deps;
  }

  /** Routes that are open. */
  get size(): number {
    return this.#toLinks.size + this.#toClients.size;
  }

  routeOpened(route: Transaction, link: number, dialect: Dialect, source: RouteSource | null): boolean {
    if (dialect === 'linkid' && (source === null || source.gateway === '' || source.payload.length < LNK_SPAN_BYTES)) {
      return false;
    }
    if (link === OWN_SPAN) {
      if (source === null || dialect !== 'linkid') return false;
      this.#toClients.set(route, { gateway: source.gateway, number: source.number });
      return true;
    }
    const { tables, returnPaths, clock } = this.#deps;
    const found = tables.links.get(link);
    if (found === undefined || found.source.dialect !== dialect || found.connection.endpoint === null) return false;
    const arrived = new ArrivedRoute(route, found, (ended) => {
      this.#toLinks.delete(route);
      found.users?.delete(ended);
      if (ended.back !== null) returnPaths.release(ended.back, ended, clock.now());
    });
    if (dialect === 'linkid') {
      const { gateway, number, payload } = source!;
      const sender = tables.source(gateway, number) ?? new RelaySource(gateway, number, dialect, Buffer.from(payload));
      const back = returnPaths.open(sender, found.peer, arrived, clock.now());
      if (back === null) return false;
      // Only with a way back: a sender that opens spans by the thousand, and has none, leaves nothing here.
      tables.keepRemote(sender);
      arrived.back = back;
      arrived.address = addressOf(back, found);
    }
    found.users ??= new Set();
    found.users.add(arrived);
    this.#toLinks.set(route, arrived);
    return true;
  }

  openOnRoute(tx: Transaction, frame: Frame): void {
    const circuit = tx.circuit!;
    const { joins } = this.#deps;
    if (circuit.handler instanceof Joined) {
      joins.stackOnJoined(tx, circuit, frame);
      return;
    }
    if (circuit.handler instanceof LocalRoute) {
      circuit.handler.opened(tx, frame);
      return;
    }
    const client = this.#toClients.get(circuit);
    if (client !== undefined && this.#deps.clients.opened(client, tx, frame)) return;
    const route = this.#toLinks.get(circuit);
    if (route === undefined) joins.refuse(tx);
    else if (route.address === null) joins.stack(tx, route.link.tx, frame, joins.fromTrunk, joins.toTrunk);
    else joins.send(tx, route.link.tx, route.address, frame, joins.fromTrunk, joins.toTrunk);
  }

  oneWayOnRoute(circuit: Transaction, frame: Frame): void {
    const { metrics, clients, joins } = this.#deps;
    const bytes = bytesOf(frame);
    if (circuit.handler instanceof LocalRoute) {
      circuit.handler.heard(frame, circuit);
      return;
    }
    const client = this.#toClients.get(circuit);
    if (client !== undefined) {
      if (!clients.oneWay(client, frame)) metrics.routedDropped++;
      return;
    }
    if (circuit.handler instanceof Joined) {
      const other = circuit.data as Transaction;
      if (other.txDeleted || !other.endpoint.forwardOneWay(frame, other)) metrics.routedDropped++;
      else circuit.handler.passed.add(bytes);
      return;
    }
    const route = this.#toLinks.get(circuit);
    const { endpoint } = route?.link.tx ?? { endpoint: null };
    if (route === undefined || endpoint === null) {
      metrics.routedDropped++;
      return;
    }
    const sent =
      route.address === null
        ? endpoint.forwardOneWay(frame, route.link.tx)
        : endpoint.forwardOneWay(frame, null, route.address);
    if (!sent) metrics.routedDropped++;
    else joins.fromTrunk.passed.add(bytes);
  }

  routeEnded(route: Transaction): void {
    this.#deps.trunkRoutes.gone(route);
    this.#toClients.delete(route);
    this.#toLinks.get(route)?.gone();
  }
}
