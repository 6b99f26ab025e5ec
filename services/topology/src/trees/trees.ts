import { MAX_PEER_TYPE } from '@spanmesh/dmsg/names';
import { decodeLnkConnPayload } from '@spanmesh/dmsg/payload/lnk-conn';
import { decodeLnkSpanPayload } from '@spanmesh/dmsg/payload/lnk-span';
import { dialectOf } from '@spanmesh/proto/dialect';
import type { ConnectionOpened, LinkOpened, LnkConnOpened, RelaySet } from '@spanmesh/proto/v1/gateway_control';
import type { TreeChange } from '@spanmesh/proto/v1/replication';
import type { ClusterKey } from '@spanmesh/proto/v1/types';
import { type Job, runNow } from '@spanmesh/runtime/grpc/slices';
import type { TableSizes } from '@spanmesh/runtime/table-sizes';
import type { GatewayId, LinkId, LnkConnId } from '@spanmesh/spantree/ids';
import type { Connection, Link, LnkConn, RelayDelta, SpanTree } from '@spanmesh/spantree/tree';
import { ClusterHolds } from './cluster-holds.ts';
import {
  type ConnectionData,
  connectionData,
  type Gateway,
  type LinkData,
  type LnkConnData,
  linkData,
  lnkConnData,
} from './gateway.ts';
import type { TreesEvent } from './tree-events.ts';

/**
 * Units of work (Job) for a link or a LNK_CONN that is added or removed; a relay that is removed or adopted is one
 * unit.
 */
export const OBJECT_UNITS = 8;

/** Receives each change as it is made, in the terms of replication.proto. */
export type Journal = (gateway: Gateway | null, change: Omit<TreeChange, 'gateway'>) => void;

/**
 * The span trees, with the gateways whose objects are in them, and all changes that can be made to them. Each change is
 * reported as an event (what is different now) and, while a standby follows, in the journal (how to repeat it at the
 * standby). Unknown (or removed) objects that a change names are passed over: reports and removals cross.
 */
export class Trees {
  readonly tree: SpanTree;
  /** Gateways by id. */
  readonly gateways: Map<string, Gateway> = new Map();
  /** Set while a standby follows; without it a change costs nothing more. */
  journal: Journal | undefined = undefined;
  readonly #holds: ClusterHolds;
  readonly #tell: (event: TreesEvent) => void;
  /** Relays closed so far: by peers, and because a gateway's new snapshot did not contain them. */
  readonly closed = { refused: 0, snapshot: 0 };
  #numbered = 0;
  /**
   * While a gateway's snapshot is taken in: the LNK_CONNs, by link, whose relays were open before and are not confirmed
   * yet.
   */
  readonly #untold = new Map<Gateway, Map<Link, Set<number>>>();

  constructor(tree: SpanTree, { tell }: { tell: (event: TreesEvent) => void }) {
    this.tree = tree;
    this.#tell = tell;
    this.#holds = new ClusterHolds(tree, { tell, journal: (gateway, change) => this.journal?.(gateway, change) });
  }

  /** Sizes of all tables of the trees; those of the gateways are added up. */
  tables(): TableSizes {
    const { clusters, nodes, links, lnkConns, relays, connections, refused } = this.tree.counts;
    const sum = (of: (gateway: Gateway) => number) =>
      [...this.gateways.values()].reduce((all, one) => all + of(one), 0);
    return {
      gateways: this.gateways.size,
      untold: this.#untold.size,
      clusters,
      nodes,
      links,
      lnkConns,
      relays,
      connections,
      refused,
      refusedPairs: sum((gateway) => [...gateway.refused.values()].reduce((all, ids) => all + ids.size, 0)),
      heldClusters: sum((gateway) => gateway.held.size),
      drains: sum((gateway) => gateway.drains.size),
      connectionsOfGateways: sum((gateway) => gateway.connections.size),
      lnkConnsOfGateways: sum((gateway) => gateway.lnkConns.size),
      linksOfGateways: sum((gateway) => gateway.links.size),
      linksKnown: sum((gateway) => gateway.knows?.size ?? 0),
      commandsInFlight: sum((gateway) => gateway.inFlight.pairs),
      linksInFlight: sum((gateway) => gateway.inFlight.links),
    };
  }

  add(gateway: Gateway): void {
    gateway.number = ++this.#numbered;
    this.gateways.set(gateway.id, gateway);
    this.tree.setHeld(gateway.id, true);
    this.put(gateway);
  }

  /**
   * Sets whether relays on the gateway are selected. They are not while the gateway is not commanded, because the
   * result could not be sent to it.
   */
  setCommanded(gateway: Gateway, commanded: boolean): void {
    if (gateway.commanded === commanded) return;
    gateway.commanded = commanded;
    this.tree.setHeld(gateway.id, !commanded);
    this.put(gateway);
  }

  /** Notes that fields of the gateway itself have changed. */
  put(gateway: Gateway): void {
    this.journal?.(gateway, { gatewayPut: gateway });
  }

  /** Removes a gateway that is dead or has said goodbye, with all its objects. */
  remove(gateway: Gateway): void {
    runNow(this.removing(gateway));
  }

  /** `remove`, in slices. */
  *removing(gateway: Gateway): Job<void> {
    this.journal?.(gateway, { gatewayGone: true });
    gateway.gone = true;
    for (const connection of gateway.connections.values()) yield* this.#droppingConnection(connection);
    this.#holds.dropAll(gateway);
    this.gateways.delete(gateway.id);
    this.#untold.delete(gateway);
    this.tree.setHeld(gateway.id, false);
    this.tree.setUnreachable(gateway.id, new Set());
  }

  /** A connection is established; or it was before, and what its gateway says of it has changed. */
  openConnection(gateway: Gateway, opened: ConnectionOpened): void {
    const known = gateway.connections.get(opened.id);
    if (known !== undefined) {
      this.#renewConnection(known, opened);
      return;
    }
    if (!isNumber(opened.id) || dialectOf(opened.dialect) === null) {
      this.#refuseConnection(gateway, opened);
      return;
    }
    const data: ConnectionData = { gateway, opened };
    const connection = this.tree.addConnection(gateway.id, opened.id, data);
    gateway.connections.set(opened.id, connection);
    if (opened.suspect) this.tree.setSuspect(connection, true);
    this.journal?.(gateway, { connectionOpened: opened });
    this.#tell({ of: 'connection', kind: 'added', object: connection });
  }

  /** Whether the connection is suspect is not said by this: a probe, and its answer, change it. */
  #renewConnection(connection: Connection, opened: ConnectionOpened): void {
    const data = connectionData(connection);
    const { gateway, opened: before } = data;
    if (opened.dialect !== before.dialect || opened.principal !== before.principal) {
      this.#refuseConnection(gateway, opened);
      return;
    }
    this.setClosing(connection, opened.closing);
    if (isSame(before, opened)) return;
    data.opened = opened;
    this.journal?.(gateway, { connectionOpened: opened });
    this.#tell({ of: 'connection', kind: 'changed', object: connection });
  }

  #refuseConnection(gateway: Gateway, { id, dialect, principal }: ConnectionOpened): void {
    this.#tell({ of: 'nonsense', gateway, what: 'connection', data: { connection: id, dialect, principal } });
  }

  openLnkConn(gateway: Gateway, opened: LnkConnOpened): LnkConn | undefined {
    const connection = gateway.connections.get(opened.connection);
    const dialect = connection === undefined ? null : dialectOf(connectionData(connection).opened.dialect);
    let lnkConn: LnkConn;
    try {
      if (connection === undefined || dialect === null || !isNumber(opened.id) || gateway.lnkConns.has(opened.id))
        throw new Error('number');
      const payload = decodeLnkConnPayload(dialect, opened.payload, 0);
      if (payload.peerType > MAX_PEER_TYPE) throw new Error('peer type');
      lnkConn = this.tree.addLnkConn(connection, opened.id, payload);
      const data: LnkConnData = { gateway, payload, onDemand: undefined };
      lnkConn.data = data;
    } catch (error) {
      this.#tell({ of: 'nonsense', gateway, what: 'LNK_CONN', data: { lnkConn: opened.id, error: String(error) } });
      return undefined;
    }
    gateway.lnkConns.set(opened.id, lnkConn);
    this.journal?.(gateway, { lnkConnOpened: opened });
    this.#tell({ of: 'lnkConn', kind: 'added', object: lnkConn });
    return lnkConn;
  }

  openLink(gateway: Gateway, opened: LinkOpened): void {
    const connection = gateway.connections.get(opened.connection);
    const dialect = connection === undefined ? null : dialectOf(connectionData(connection).opened.dialect);
    let link: Link;
    try {
      if (connection === undefined || dialect === null || !isNumber(opened.id) || gateway.links.has(opened.id))
        throw new Error('number');
      if (!isNumber(opened.stamp)) throw new Error('stamp');
      const span = decodeLnkSpanPayload(dialect, opened.payload, 0);
      if (span.peerType > MAX_PEER_TYPE) throw new Error('peer type');
      const { clusterId, nodeId, peerType, peerLabel, label, dist, rnss, status } = span;
      const { stamp, msgidLo, msgidHi, sinceUs } = opened;
      const key = { dialect, clusterId, nodeId, peerType, peerLabel, label, dist, rnss, stamp };
      link = this.tree.addLink(connection, opened.id, key);
      // Decoding has copied it, so it does not keep the whole message alive.
      const { payload } = opened;
      const data: LinkData = { gateway, payload, msgidLo, msgidHi, sinceUs, status, onDemand: undefined };
      link.data = data;
    } catch (error) {
      this.#tell({ of: 'nonsense', gateway, what: 'LNK_SPAN', data: { link: opened.id, error: String(error) } });
      return;
    }
    gateway.links.set(opened.id, link);
    this.journal?.(gateway, { linkOpened: opened });
    const { node } = link;
    if (node.links.length === 1) {
      if (node.cluster.nodeCount === 1) {
        this.#tell({ of: 'cluster', kind: node.cluster.holds > 0 ? 'changed' : 'added', object: node.cluster });
      }
      this.#tell({ of: 'node', kind: 'added', object: node });
    }
    this.#tell({ of: 'link', kind: 'added', object: link });
  }

  setStatus(gateway: Gateway, id: LinkId, status: number): void {
    const link = gateway.links.get(id);
    if (link === undefined || linkData(link).status === status) return;
    this.tree.changing(link);
    linkData(link).status = status;
    this.journal?.(gateway, { linkStatus: { link: id, status } });
    this.#tell({ of: 'link', kind: 'changed', object: link });
  }

  /** Sets all gateways that the gateway cannot reach. In slices. */
  *settingUnreachable(gateway: Gateway, others: Iterable<string>): Job<void> {
    const unreachable = new Set(others);
    unreachable.delete(gateway.id);
    const changed = yield* this.tree.settingUnreachable(gateway.id, unreachable);
    if (changed.size === 0) return;
    this.journal?.(gateway, { trunks: { established: [], unreachable: [...unreachable] } });
    if (!changed.isSubsetOf(unreachable)) this.#tell({ of: 'reachable', gateway });
  }

  /**
   * Sets all principals whose links at other gateways the gateway does not relay. The selected relays stay as they are.
   */
  setWithheld(gateway: Gateway, principals: readonly string[]): void {
    if (principals.length === 0 && gateway.withheld.size === 0) return;
    gateway.withheld = new Set(principals);
    this.journal?.(gateway, { withheld: { principals: [...principals] } });
  }

  setSuspect(connection: Connection | undefined, suspect: boolean): void {
    if (connection === undefined || connection.suspect === suspect) return;
    this.tree.setSuspect(connection, suspect);
    this.journal?.(connectionData(connection).gateway, { suspicion: { connection: connection.id, suspect } });
    this.#tell({ of: 'connection', kind: 'changed', object: connection });
  }

  /** Marks a connection that its gateway closes in order. */
  setClosing(connection: Connection | undefined, reason: string): void {
    if (connection === undefined) return;
    const { gateway, opened } = connectionData(connection);
    if (opened.closing === reason) return;
    opened.closing = reason;
    this.journal?.(gateway, { connectionClosing: { id: connection.id, reason } });
    this.#tell({ of: 'connection', kind: 'changed', object: connection });
  }

  /** The peer has closed the relay. False: there was no such relay. */
  refuse(gateway: Gateway, link: Link, lnkConn: LnkConn): boolean {
    if (link.span.dialect !== lnkConn.filter.dialect) return false;
    const before = link.relayCount;
    this.tree.refuse(lnkConn, link);
    if (link.relayCount === before) return false;
    this.closed.refused++;
    this.journal?.(gateway, { relaysRefused: relaySet(gateway, link, [lnkConn.id]) });
    this.#tell({ of: 'relays', group: { link, gateway, open: [], close: [lnkConn.id] } });
    return true;
  }

  /**
   * Begins to take in a gateway's new list of open and refused relays; `adoptRelays`, `adoptRefusals` and
   * `tellingRelays` follow. Relays that are the same before and after are not reported as changes. In slices.
   */
  *forgettingRelays(gateway: Gateway): Job<void> {
    const untold = new Map<Link, Set<number>>();
    for (const lnkConn of gateway.lnkConns.values()) {
      let units = OBJECT_UNITS;
      for (const link of lnkConn.relays()) {
        const ids = untold.get(link);
        if (ids === undefined) untold.set(link, new Set([lnkConn.id]));
        else ids.add(lnkConn.id);
        if (++units < this.tree.pieceUnits) continue;
        yield units;
        units = 0;
      }
      yield units;
      yield* this.tree.forgettingRelays(lnkConn);
    }
    this.#untold.set(gateway, untold);
    this.journal?.(gateway, { relaysForgotten: true });
  }

  /** Takes over relays that are open already: the next selection closes those that it does not take. */
  adoptRelays(gateway: Gateway, link: Link, lnkConns: readonly number[]): void {
    const fitting = fittingOf(gateway, link, lnkConns);
    if (fitting.length === 0) return;
    const before = this.#untold.get(gateway)?.get(link);
    const open: number[] = [];
    for (const lnkConn of fitting) {
      const count = link.relayCount;
      this.tree.adoptRelay(lnkConn, link);
      const isNew = link.relayCount > count;
      if (before?.delete(lnkConn.id) !== true && isNew) open.push(lnkConn.id);
    }
    this.journal?.(gateway, { relaysAdopted: relaySet(gateway, link, idsOf(fitting)) });
    if (open.length > 0) this.#tell({ of: 'relays', group: { link, gateway, open, close: [] } });
  }

  /** Ends what `forgettingRelays` began: relays that were not adopted since are closed. In slices. */
  *tellingRelays(gateway: Gateway): Job<void> {
    const untold = this.#untold.get(gateway) ?? [];
    this.#untold.delete(gateway);
    this.journal?.(gateway, { relaysTold: true });
    let links = 0;
    for (const [link, ids] of untold) {
      if (++links % this.tree.pieceUnits === 0) yield this.tree.pieceUnits;
      if (ids.size === 0) continue;
      this.closed.snapshot += ids.size;
      this.#tell({ of: 'relays', group: { link, gateway, open: [], close: [...ids] } });
    }
  }

  /** Takes over refusals of peers. None of these relays may be open. */
  adoptRefusals(gateway: Gateway, link: Link, lnkConns: readonly number[]): void {
    const fitting = fittingOf(gateway, link, lnkConns);
    for (const lnkConn of fitting) this.tree.adoptRefusal(lnkConn, link);
    if (fitting.length > 0) this.journal?.(gateway, { refusalsAdopted: relaySet(gateway, link, idsOf(fitting)) });
  }

  /**
   * Opens or closes relays on demand. Lists show them like selected ones, so a change is reported only for pairs that
   * are not selected, too.
   */
  setOnDemand(gateway: Gateway, set: RelaySet, open: boolean): void {
    const link = this.linkOf(gateway, set.linkGateway, set.link);
    if (link === undefined) return;
    this.tree.changing(link);
    const selected = new Set(link.relays);
    const changed: number[] = [];
    for (const id of set.lnkConns) {
      const lnkConn = gateway.lnkConns.get(id);
      if (lnkConn === undefined) continue;
      const was = linkData(link).onDemand?.has(lnkConn) === true;
      if (open) {
        const ofLink = linkData(link);
        const ofLnkConn = lnkConnData(lnkConn);
        ofLink.onDemand ??= new Set();
        ofLink.onDemand.add(lnkConn);
        ofLnkConn.onDemand ??= new Set();
        ofLnkConn.onDemand.add(link);
      } else {
        linkData(link).onDemand?.delete(lnkConn);
        lnkConnData(lnkConn).onDemand?.delete(link);
      }
      if (was !== open && !selected.has(lnkConn)) changed.push(id);
    }
    this.journal?.(gateway, open ? { onDemandOpened: set } : { onDemandClosed: set });
    if (changed.length === 0) return;
    this.#tell({ of: 'relays', group: { link, gateway, open: open ? changed : [], close: open ? [] : changed } });
  }

  hold(gateway: Gateway, key: ClusterKey): void {
    this.#holds.hold(gateway, key);
  }

  release(gateway: Gateway, key: ClusterKey): void {
    this.#holds.release(gateway, key);
  }

  /** Replaces the clusters that the gateway's clients hold. */
  setHolds(gateway: Gateway, keys: readonly ClusterKey[]): void {
    this.#holds.replace(gateway, keys);
  }

  closeLink(link: Link | undefined): void {
    if (link === undefined) return;
    this.journal?.(linkData(link).gateway, { linkClosed: link.id });
    this.#dropLink(link);
  }

  /** Closes a LNK_CONN. In slices. */
  *closingLnkConn(lnkConn: LnkConn | undefined): Job<void> {
    if (lnkConn === undefined) return;
    this.journal?.(lnkConnData(lnkConn).gateway, { lnkConnClosed: lnkConn.id });
    yield* this.#droppingLnkConn(lnkConn);
  }

  /** Closes a connection with all that is on it. In slices. */
  *closingConnection(connection: Connection | undefined): Job<void> {
    if (connection === undefined) return;
    this.journal?.(connectionData(connection).gateway, { connectionClosed: connection.id });
    yield* this.#droppingConnection(connection);
  }

  /** Selects, in slices, and reports the relays that must be opened and closed because of earlier changes. */
  *selecting(out: RelayDelta): Job<void> {
    this.journal?.(null, { selected: true });
    yield* this.tree.flushing(out);
  }

  linkOf(gateway: Gateway, linkGateway: GatewayId, link: LinkId): Link | undefined {
    const owner = linkGateway === '' ? gateway : this.gateways.get(linkGateway);
    return owner?.links.get(link);
  }

  /** Removes a link, alone or with its connection. */
  #dropLink(link: Link): void {
    const data = linkData(link);
    this.tree.changing(link);
    data.gateway.links.delete(link.id);
    for (const lnkConn of data.onDemand ?? []) lnkConnData(lnkConn).onDemand?.delete(link);
    data.onDemand = undefined;
    this.tree.removeLink(link);
    this.#tell({ of: 'link', kind: 'removed', object: link });
    const { node } = link;
    if (node.links.length > 0) return;
    this.#tell({ of: 'node', kind: 'removed', object: node });
    if (node.cluster.nodeCount === 0) {
      this.#tell({ of: 'cluster', kind: node.cluster.holds > 0 ? 'changed' : 'removed', object: node.cluster });
    }
  }

  /** Removes a LNK_CONN, alone or with its connection. */
  *#droppingLnkConn(lnkConn: LnkConn): Job<void> {
    const data = lnkConnData(lnkConn);
    const { lnkConns, refused } = data.gateway;
    let links = 0;
    for (const [link, ids] of refused) {
      if (ids.delete(lnkConn.id) && ids.size === 0) refused.delete(link);
      if (++links % this.tree.pieceUnits === 0) yield this.tree.pieceUnits;
    }
    lnkConns.delete(lnkConn.id);
    for (const link of data.onDemand ?? []) {
      this.tree.changing(link);
      linkData(link).onDemand?.delete(lnkConn);
    }
    data.onDemand = undefined;
    yield OBJECT_UNITS;
    yield* this.tree.removingLnkConn(lnkConn);
    this.#tell({ of: 'lnkConn', kind: 'removed', object: lnkConn });
  }

  *#droppingConnection(connection: Connection): Job<void> {
    const { gateway } = connectionData(connection);
    let units = OBJECT_UNITS;
    for (const link of connection.links) {
      units += OBJECT_UNITS + link.relayCount;
      this.#dropLink(link);
      if (units < this.tree.pieceUnits) continue;
      yield units;
      units = 0;
    }
    yield units;
    for (const lnkConn of connection.lnkConns) yield* this.#droppingLnkConn(lnkConn);
    this.tree.removeConnection(connection);
    // Removed last: if this job is abandoned in between, a later one still finds the connection.
    gateway.connections.delete(connection.id);
    this.#tell({ of: 'connection', kind: 'removed', object: connection });
  }
}

/** The link's relays on these LNK_CONNs of the gateway, in the gateways' protocol. */
export function relaySet(gateway: Gateway, link: Link, lnkConns: LnkConnId[]): RelaySet {
  const owner = linkData(link).gateway;
  return { linkGateway: owner === gateway ? '' : owner.id, link: link.id, lnkConns };
}

function fittingOf(gateway: Gateway, link: Link, lnkConns: readonly number[]): LnkConn[] {
  const fitting: LnkConn[] = [];
  for (const id of lnkConns) {
    const lnkConn = gateway.lnkConns.get(id);
    if (lnkConn?.filter.dialect === link.span.dialect) fitting.push(lnkConn);
  }
  return fitting;
}

function idsOf(lnkConns: readonly LnkConn[]): number[] {
  return lnkConns.map(({ id }) => id);
}

/** Whether a gateway may have given this number or stamp (gateway_control.proto: integers below 2^53). */
function isNumber(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0;
}

/** Whether both say the same of a connection, apart from `suspect`. */
function isSame(one: ConnectionOpened, other: ConnectionOpened): boolean {
  const names = Object.keys(other) as (keyof ConnectionOpened)[];
  return names.every((name) => name === 'suspect' || one[name] === other[name]);
}
