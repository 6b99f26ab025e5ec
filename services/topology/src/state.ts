import { MAX_PEER_TYPE } from '@spanmesh/dmsg/names';
import { decodeLnkConnPayload } from '@spanmesh/dmsg/payload/lnk-conn';
import { decodeLnkSpanPayload } from '@spanmesh/dmsg/payload/lnk-span';
import type {
  ConnectionOpened,
  LinkOpened,
  LnkConnOpened,
  Refusal,
  RelaySet,
  StateChange,
} from '@spanmesh/proto/v1/gateway_control';
import type { Cluster, Connection, Link, LnkConn, Node, SpanTree } from '@spanmesh/spantree/tree';
import { ClusterHolds } from './cluster-holds.ts';
import { dialectOf } from './dialect.ts';
import {
  type ConnectionData,
  type Gateway,
  type LinkData,
  type LnkConnData,
  linkData,
  lnkConnData,
  type ParkedRelays,
} from './gateway.ts';
import { SamePeer } from './same-peer.ts';
import { byId, missing, pairsOf } from './snapshot-diff.ts';

export type ChangeKind = 'added' | 'changed' | 'removed';

/** Whom State tells what it has found out. None of these may change the state. */
export interface StateObserver {
  clusterChanged(kind: ChangeKind, cluster: Cluster): void;
  nodeChanged(kind: ChangeKind, node: Node): void;
  linkChanged(kind: ChangeKind, link: Link): void;
  connectionChanged(kind: ChangeKind, connection: Connection): void;
  lnkConnChanged(kind: ChangeKind, lnkConn: LnkConn): void;
  /** The gateway can use the links of some other gateway again. */
  reachable(gateway: Gateway): void;
  /** A peer has closed a relay. */
  relayRefused(link: Link, lnkConn: LnkConn): void;
  /** The connection is suspect now and shall be asked for a sign of life. */
  probe(connection: Connection): void;
  /** The relay should be open on the gateway, and its snapshot says that it is not. */
  reopen(gateway: Gateway, link: Link, lnkConns: readonly number[]): void;
  /** The gateway relays a link of another gateway, so it knows its payload. */
  linkKnown(gateway: Gateway, link: Link): void;
  /** The gateway relays a link of another gateway that does not exist (any more). */
  linkUnknown(gateway: Gateway, linkGateway: string, link: number): void;
  /** A peer's message that makes no sense. Nothing else happens because of it. */
  nonsense(gateway: Gateway, what: string, data: Readonly<Record<string, string | number>>): void;
}

/**
 * What all gateways together have said is open, as span trees. Gateways are the truth of what is open on the wire
 * (architecture.md, "Who owns what"); this only takes in, it opens and closes nothing.
 */
export class State {
  readonly tree: SpanTree;
  /** By id. */
  readonly gateways: Map<string, Gateway> = new Map();
  readonly #samePeer = new SamePeer();
  readonly #holds: ClusterHolds;
  readonly #observer: StateObserver;

  constructor(tree: SpanTree, { observer }: { observer: StateObserver }) {
    this.tree = tree;
    this.#observer = observer;
    this.#holds = new ClusterHolds(tree, observer);
  }

  add(gateway: Gateway): void {
    this.gateways.set(gateway.id, gateway);
  }

  /** The gateway is dead, or has said goodbye: all that was on it is gone. */
  remove(gateway: Gateway): void {
    for (const connection of gateway.connections.values()) this.#removeConnection(connection);
    this.#holds.replace(gateway, []);
    this.gateways.delete(gateway.id);
    for (const other of this.gateways.values()) other.unreachable.delete(gateway.id);
    this.forgetParked(gateway.id);
  }

  /** Takes in a delta. What it names and is not known (any more) is passed over: reports and removals cross. */
  apply(gateway: Gateway, change: StateChange): void {
    for (const opened of change.connectionsOpened) this.#openConnection(gateway, opened);
    for (const opened of change.lnkConnsOpened) {
      const lnkConn = this.#openLnkConn(gateway, opened);
      if (lnkConn !== undefined) this.#suspectOthers(lnkConn);
    }
    for (const opened of change.linksOpened) this.#openLink(gateway, opened);
    for (const { link, status } of change.linkStatuses) this.#setStatus(gateway, link, status);
    for (const { gateway: other, reachable } of change.reachability) this.#setReachable(gateway, other, reachable);
    for (const id of change.connectionsAlive) this.#setSuspect(gateway.connections.get(id), false);
    for (const refusal of change.refusals) this.#refuse(gateway, refusal);
    for (const set of change.onDemandOpened) this.#onDemand(gateway, set, true);
    for (const set of change.onDemandClosed) this.#onDemand(gateway, set, false);
    for (const key of change.clustersHeld) this.#holds.hold(gateway, key);
    for (const key of change.clustersReleased) this.#holds.release(gateway, key);
    for (const id of change.linksClosed) this.#removeLink(gateway.links.get(id));
    for (const id of change.lnkConnsClosed) this.#removeLnkConn(gateway.lnkConns.get(id));
    for (const id of change.connectionsClosed) this.#removeConnection(gateway.connections.get(id));
    gateway.inFlight.obeyed(change.obeyed);
  }

  /**
   * Takes in a complete snapshot: brings what is held of the gateway in line with it, and leaves alone what is the same.
   * Relays that are open on the wire are kept for the next flush to judge; those that should be and are not are reported
   * (`reopen`), because the command or its loss went with the previous stream.
   */
  replace(gateway: Gateway, all: StateChange): void {
    const first = !gateway.known;
    gateway.inFlight.obeyed(all.obeyed);
    for (const link of missing(gateway.links, all.linksOpened)) this.#removeLink(link);
    for (const lnkConn of missing(gateway.lnkConns, all.lnkConnsOpened)) this.#removeLnkConn(lnkConn);
    for (const connection of missing(gateway.connections, all.connectionsOpened)) this.#removeConnection(connection);

    for (const opened of all.connectionsOpened.sort(byId)) this.#reviewConnection(gateway, opened);
    const unreachable = new Set(all.reachability.filter((one) => !one.reachable).map((one) => one.gateway));
    for (const other of [...gateway.unreachable]) {
      if (!unreachable.has(other)) this.#setReachable(gateway, other, true);
    }
    for (const other of unreachable) this.#setReachable(gateway, other, false);
    const added: LnkConn[] = [];
    for (const opened of all.lnkConnsOpened.sort(byId)) {
      if (gateway.lnkConns.has(opened.id)) continue;
      const lnkConn = this.#openLnkConn(gateway, opened);
      if (lnkConn !== undefined) added.push(lnkConn);
    }
    for (const opened of all.linksOpened.sort(byId)) {
      if (!gateway.links.has(opened.id)) this.#openLink(gateway, opened);
    }
    for (const { link, status } of all.linkStatuses) this.#setStatus(gateway, link, status);

    this.#holds.replace(gateway, all.clustersHeld);
    gateway.parked.clear();
    for (const set of all.relaysOpen) this.#adoptRelays(gateway, set);
    if (first) for (const refusal of all.refusals) this.#adoptRefusal(gateway, refusal);
    else this.#reviewRelays(gateway, all);
    for (const lnkConn of gateway.lnkConns.values()) this.#forgetOnDemand(lnkConn);
    for (const set of all.onDemandOpened) this.#onDemand(gateway, set, true);

    gateway.known = true;
    // At a first sight of the gateway both the old and the new connection of a peer have been there before: whoever led
    // then has seen to it, and doubting them again would move relays.
    if (!first) for (const lnkConn of added) this.#suspectOthers(lnkConn);
    this.#unpark(gateway);
  }

  /** Gateways that are named by relays and have not been heard of. */
  *parkedFor(): Iterable<string> {
    for (const gateway of this.gateways.values()) yield* gateway.parked.keys();
  }

  /** The gateway will not come (any more): relays of its links are to be closed. */
  forgetParked(id: string): void {
    for (const gateway of this.gateways.values()) {
      const links = gateway.parked.get(id);
      if (links === undefined) continue;
      gateway.parked.delete(id);
      for (const link of links.keys()) this.#observer.linkUnknown(gateway, id, link);
    }
  }

  #openConnection(gateway: Gateway, opened: ConnectionOpened): void {
    if (!isNumber(opened.id) || dialectOf(opened.dialect) === undefined || gateway.connections.has(opened.id)) {
      this.#observer.nonsense(gateway, 'connection', { connection: opened.id, dialect: opened.dialect });
      return;
    }
    const data: ConnectionData = { gateway, opened };
    const connection = this.tree.addConnection(gateway.id, opened.id, data);
    gateway.connections.set(opened.id, connection);
    if (opened.suspect) this.tree.setSuspect(connection, true);
    this.#observer.connectionChanged('added', connection);
  }

  #reviewConnection(gateway: Gateway, opened: ConnectionOpened): void {
    const connection = gateway.connections.get(opened.id);
    if (connection === undefined) this.#openConnection(gateway, opened);
    // It has shown life meanwhile, or the command to probe it was lost: asking once more is right for both.
    else if (connection.suspect && !opened.suspect) this.#observer.probe(connection);
    else if (opened.suspect) this.#setSuspect(connection, true);
  }

  #openLnkConn(gateway: Gateway, opened: LnkConnOpened): LnkConn | undefined {
    const connection = gateway.connections.get(opened.connection);
    const dialect = connection && dialectOf((connection.data as ConnectionData).opened.dialect);
    try {
      if (dialect === undefined || !isNumber(opened.id) || gateway.lnkConns.has(opened.id)) throw new Error('number');
      const payload = decodeLnkConnPayload(dialect, opened.payload, 0);
      if (payload.peerType > MAX_PEER_TYPE) throw new Error('peer type');
      const lnkConn = this.tree.addLnkConn(connection!, opened.id, payload);
      const data: LnkConnData = { gateway, payload, onDemand: undefined };
      lnkConn.data = data;
      gateway.lnkConns.set(opened.id, lnkConn);
      this.#samePeer.add(lnkConn);
      this.#observer.lnkConnChanged('added', lnkConn);
      return lnkConn;
    } catch (error) {
      this.#observer.nonsense(gateway, 'LNK_CONN', { lnkConn: opened.id, error: String(error) });
      return undefined;
    }
  }

  #openLink(gateway: Gateway, opened: LinkOpened): void {
    const connection = gateway.connections.get(opened.connection);
    const dialect = connection && dialectOf((connection.data as ConnectionData).opened.dialect);
    let link: Link;
    try {
      if (dialect === undefined || !isNumber(opened.id) || gateway.links.has(opened.id)) throw new Error('number');
      if (!isNumber(opened.stamp)) throw new Error('stamp');
      const span = decodeLnkSpanPayload(dialect, opened.payload, 0);
      if (span.peerType > MAX_PEER_TYPE) throw new Error('peer type');
      const { clusterId, nodeId, peerType, peerLabel, label, dist, rnss, status } = span;
      const { stamp, msgidLo, msgidHi } = opened;
      const key = { dialect, clusterId, nodeId, peerType, peerLabel, label, dist, rnss, stamp };
      link = this.tree.addLink(connection!, opened.id, key);
      // A copy: what was decoded is a view that keeps the whole message alive.
      const payload = Buffer.from(opened.payload);
      const data: LinkData = { gateway, payload, msgidLo, msgidHi, status, onDemand: undefined };
      link.data = data;
    } catch (error) {
      this.#observer.nonsense(gateway, 'LNK_SPAN', { link: opened.id, error: String(error) });
      return;
    }
    gateway.links.set(opened.id, link);
    for (const other of this.gateways.values()) {
      if (other.unreachable.has(gateway.id)) this.tree.setReachable(link, other.id, false);
    }
    const { node } = link;
    if (node.links.length === 1) {
      if (node.cluster.nodeCount === 1) {
        this.#observer.clusterChanged(node.cluster.holds > 0 ? 'changed' : 'added', node.cluster);
      }
      this.#observer.nodeChanged('added', node);
    }
    this.#observer.linkChanged('added', link);
  }

  #setStatus(gateway: Gateway, id: number, status: number): void {
    const link = gateway.links.get(id);
    if (link === undefined || linkData(link).status === status) return;
    linkData(link).status = status;
    this.#observer.linkChanged('changed', link);
  }

  #setReachable(gateway: Gateway, other: string, reachable: boolean): void {
    if (other === gateway.id) return;
    if (reachable) gateway.unreachable.delete(other);
    else gateway.unreachable.add(other);
    for (const link of this.gateways.get(other)?.links.values() ?? []) {
      this.tree.setReachable(link, gateway.id, reachable);
    }
    if (reachable) this.#observer.reachable(gateway);
  }

  #setSuspect(connection: Connection | undefined, suspect: boolean): void {
    if (connection === undefined || connection.suspect === suspect) return;
    this.tree.setSuspect(connection, suspect);
    this.#observer.connectionChanged('changed', connection);
  }

  /** architecture.md, "Half-dead peers". The younger of two connections is not doubted. */
  #suspectOthers(lnkConn: LnkConn): void {
    const { connection } = lnkConn;
    for (const other of this.#samePeer.others(lnkConn)) {
      const younger = other.gateway === connection.gateway && other.id > connection.id;
      if (younger || other.suspect) continue;
      this.#setSuspect(other, true);
      this.#observer.probe(other);
    }
  }

  #refuse(gateway: Gateway, refusal: Refusal): void {
    const lnkConn = gateway.lnkConns.get(refusal.lnkConn);
    const link = this.#linkOf(gateway, refusal.linkGateway, refusal.link);
    if (lnkConn === undefined || link === undefined) {
      gateway.parked.get(refusal.linkGateway)?.get(refusal.link)?.refused.push(refusal.lnkConn);
      return;
    }
    // architecture.md, "Attach": a refusal that is older than our last command for the pair is ignored.
    if (refusal.n < gateway.inFlight.last(link, lnkConn.id)) return;
    this.#takeRefusal(gateway, link, lnkConn);
  }

  #takeRefusal(gateway: Gateway, link: Link, lnkConn: LnkConn): void {
    if (link.span.dialect !== lnkConn.filter.dialect) return;
    const before = link.relayCount;
    this.tree.refuse(lnkConn, link);
    if (link.relayCount === before) return;
    noteRefused(gateway, link, lnkConn);
    this.#observer.relayRefused(link, lnkConn);
  }

  #adoptRefusal(gateway: Gateway, refusal: Refusal): void {
    const lnkConn = gateway.lnkConns.get(refusal.lnkConn);
    const link = this.#linkOf(gateway, refusal.linkGateway, refusal.link);
    if (lnkConn === undefined) return;
    if (link === undefined) this.#park(gateway, refusal.linkGateway, refusal.link)?.refused.push(refusal.lnkConn);
    else if (link.span.dialect === lnkConn.filter.dialect) {
      if (linkData(link).gateway !== gateway) this.#observer.linkKnown(gateway, link);
      this.tree.adoptRefusal(lnkConn, link);
      noteRefused(gateway, link, lnkConn);
    }
  }

  #adoptRelays(gateway: Gateway, { linkGateway, link: number, lnkConns }: RelaySet): void {
    const link = this.#linkOf(gateway, linkGateway, number);
    if (link === undefined) {
      const parked = this.#park(gateway, linkGateway, number);
      for (const id of lnkConns) parked?.open.push(id);
      return;
    }
    if (linkData(link).gateway !== gateway) this.#observer.linkKnown(gateway, link);
    for (const id of lnkConns) {
      const lnkConn = gateway.lnkConns.get(id);
      if (lnkConn?.filter.dialect === link.span.dialect) this.tree.adoptRelay(lnkConn, link);
    }
  }

  /** After the same leader has got a second snapshot: what became of the relays that it took for open? */
  #reviewRelays(gateway: Gateway, all: StateChange): void {
    const resolve = (linkGateway: string, link: number) => this.#linkOf(gateway, linkGateway, link);
    const open = pairsOf(all.relaysOpen, resolve);
    const refused = pairsOf(
      all.refusals.map(({ linkGateway, link, lnkConn }) => ({ linkGateway, link, lnkConns: [lnkConn] })),
      resolve,
    );
    const lost = new Map<Link, number[]>();
    const refusals: [Link, LnkConn][] = [];
    for (const lnkConn of gateway.lnkConns.values()) {
      for (const link of lnkConn.relays()) {
        if (open.get(link)?.has(lnkConn.id) === true) continue;
        // With a command for the pair under way, the refusal is that of an earlier offer.
        const offered = gateway.inFlight.last(link, lnkConn.id) > 0;
        if (!offered && refused.get(link)?.has(lnkConn.id) === true) refusals.push([link, lnkConn]);
        else lost.set(link, [...(lost.get(link) ?? []), lnkConn.id]);
      }
    }
    gateway.inFlight.clear();
    for (const [link, lnkConn] of refusals) this.#takeRefusal(gateway, link, lnkConn);
    for (const [link, lnkConns] of lost) this.#observer.reopen(gateway, link, lnkConns);
  }

  #linkOf(gateway: Gateway, linkGateway: string, link: number): Link | undefined {
    const owner = linkGateway === '' ? gateway : this.gateways.get(linkGateway);
    return owner?.links.get(link);
  }

  /** Keeps relays of a link that is not known until its gateway is; undefined if that is known and the link is gone. */
  #park(gateway: Gateway, linkGateway: string, link: number): ParkedRelays | undefined {
    if (linkGateway === '' || linkGateway === gateway.id) return undefined;
    if (this.gateways.get(linkGateway)?.known === true) {
      this.#observer.linkUnknown(gateway, linkGateway, link);
      return undefined;
    }
    let links = gateway.parked.get(linkGateway);
    if (links === undefined) {
      links = new Map();
      gateway.parked.set(linkGateway, links);
    }
    let relays = links.get(link);
    if (relays === undefined) {
      relays = { open: [], refused: [] };
      links.set(link, relays);
    }
    return relays;
  }

  /** The gateway is known now: what others relay of its links can be judged. */
  #unpark(gateway: Gateway): void {
    for (const other of this.gateways.values()) {
      const links = other.parked.get(gateway.id);
      if (links === undefined) continue;
      other.parked.delete(gateway.id);
      for (const [link, { open, refused }] of links) {
        this.#adoptRelays(other, { linkGateway: gateway.id, link, lnkConns: open });
        for (const lnkConn of refused) {
          this.#adoptRefusal(other, { linkGateway: gateway.id, link, lnkConn, n: 0 });
        }
      }
    }
  }

  #onDemand(gateway: Gateway, { linkGateway, link: number, lnkConns }: RelaySet, open: boolean): void {
    const link = this.#linkOf(gateway, linkGateway, number);
    if (link === undefined) return;
    for (const id of lnkConns) {
      const lnkConn = gateway.lnkConns.get(id);
      if (lnkConn === undefined) continue;
      if (open) {
        linkData(link).onDemand ??= new Set();
        linkData(link).onDemand!.add(lnkConn);
        lnkConnData(lnkConn).onDemand ??= new Set();
        lnkConnData(lnkConn).onDemand!.add(link);
      } else {
        linkData(link).onDemand?.delete(lnkConn);
        lnkConnData(lnkConn).onDemand?.delete(link);
      }
    }
  }

  #forgetOnDemand(lnkConn: LnkConn): void {
    const data = lnkConnData(lnkConn);
    for (const link of data.onDemand ?? []) linkData(link).onDemand?.delete(lnkConn);
    data.onDemand = undefined;
  }

  /** Gateways that have a relay of the link as a way back, learnt from another gateway: nobody has named it to them. */
  #forgetOnDemandOf(link: Link): Set<Gateway> {
    const data = linkData(link);
    const others = new Set<Gateway>();
    for (const lnkConn of data.onDemand ?? []) {
      const other = lnkConnData(lnkConn);
      other.onDemand?.delete(link);
      if (other.gateway !== data.gateway) others.add(other.gateway);
    }
    data.onDemand = undefined;
    return others;
  }

  #removeLink(link: Link | undefined): void {
    if (link === undefined) return;
    const data = linkData(link);
    data.gateway.links.delete(link.id);
    for (const other of this.#forgetOnDemandOf(link)) this.#observer.linkUnknown(other, data.gateway.id, link.id);
    for (const gateway of this.gateways.values()) gateway.refused.delete(link);
    this.tree.removeLink(link);
    this.#observer.linkChanged('removed', link);
    const { node } = link;
    if (node.links.length > 0) return;
    this.#observer.nodeChanged('removed', node);
    if (node.cluster.nodeCount === 0) {
      this.#observer.clusterChanged(node.cluster.holds > 0 ? 'changed' : 'removed', node.cluster);
    }
  }

  #removeLnkConn(lnkConn: LnkConn | undefined): void {
    if (lnkConn === undefined) return;
    const { gateway } = lnkConnData(lnkConn);
    gateway.lnkConns.delete(lnkConn.id);
    this.#forgetOnDemand(lnkConn);
    for (const ids of gateway.refused.values()) ids.delete(lnkConn.id);
    this.#samePeer.remove(lnkConn);
    this.tree.removeLnkConn(lnkConn);
    this.#observer.lnkConnChanged('removed', lnkConn);
  }

  #removeConnection(connection: Connection | undefined): void {
    if (connection === undefined) return;
    const { gateway } = connection.data as ConnectionData;
    gateway.connections.delete(connection.id);
    for (const link of connection.links) this.#removeLink(link);
    for (const lnkConn of connection.lnkConns) this.#removeLnkConn(lnkConn);
    this.tree.removeConnection(connection);
    this.#observer.connectionChanged('removed', connection);
  }
}

function noteRefused(gateway: Gateway, link: Link, lnkConn: LnkConn): void {
  const ids = gateway.refused.get(link);
  if (ids === undefined) gateway.refused.set(link, new Set([lnkConn.id]));
  else ids.add(lnkConn.id);
}

/** Whether a gateway may have given this number or stamp (gateway_control.proto: integers below 2^53). */
function isNumber(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0;
}
