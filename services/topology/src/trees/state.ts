import type {
  ConnectionOpened,
  DrainProgress,
  LinkRef,
  Refusal,
  RelaySet,
  StateChange,
} from '@spanmesh/proto/v1/gateway_control';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import type { TableSizes } from '@spanmesh/runtime/table-sizes';
import type { GatewayId, LinkId, LnkConnId } from '@spanmesh/spantree/ids';
import type { Link, LnkConn, SpanTree } from '@spanmesh/spantree/tree';
import { type Gateway, linkData, lnkConnData } from './gateway.ts';
import { KnownLinks } from './known-links.ts';
import { SamePeer } from './same-peer.ts';
import { byId, missing } from './snapshot-diff.ts';
import type { StateEvent, TreesEvent } from './tree-events.ts';
import { OBJECT_UNITS, relaySet, Trees } from './trees.ts';

/** Drains of one gateway that are remembered: more than the gateway itself remembers. */
const MAX_DRAINS = 64;
/** Links in one gateway's `links_known` that wait for their gateways: more than any gateway has relays of. */
export const MAX_WAITING_LINKS = 1_000_000;
/** Gateways in one of a gateway's sets of trunks: more than an installation can have. */
const MAX_TRUNKS = 8192;
/** Principals whose relays one gateway withholds: as many as a gateway reports. */
const MAX_WITHHELD = 1024;

/** A gateway reports more than a limit of the leader allows. */
export class StateError extends Error {
  readonly code = 'too-much';
  readonly data: Readonly<Record<string, string | number>>;

  constructor(message: string, data: StateError['data']) {
    super(message);
    this.name = 'StateError';
    this.data = data;
  }
}

/**
 * The objects that all gateways together report as open, as span trees. Gateways own what is open on the wire
 * (architecture.md, "Who owns what"): this class only records it, and opens and closes nothing.
 */
export class State {
  /** The reported objects, and the relays that selection chooses. */
  readonly trees: Trees;
  readonly #samePeer = new SamePeer();
  readonly #tell: (event: StateEvent) => void;
  readonly #isDead: (id: GatewayId) => boolean;

  /** `isDead`: whether the id was declared dead, so that no objects of it will come. */
  constructor(
    tree: SpanTree,
    { tell, isDead = () => false }: { tell: (event: StateEvent) => void; isDead?: (id: GatewayId) => boolean },
  ) {
    this.trees = new Trees(tree, { tell: (event) => this.#changed(event) });
    this.#tell = tell;
    this.#isDead = isDead;
  }

  /** Gateways by id. */
  get gateways(): ReadonlyMap<string, Gateway> {
    return this.trees.gateways;
  }

  /** Removes a gateway that is dead or has said goodbye, and all its objects. */
  *removing(gateway: Gateway): Job<void> {
    yield* this.trees.removing(gateway);
    this.#tell({ of: 'gatewayGone', gateway });
    this.forgetWaiting(gateway.id);
  }

  /**
   * Forgets the links that are expected of a gateway that will not attach. Gateways that know its links are told that
   * the gateway is gone, not that each link is.
   */
  forgetWaiting(id: GatewayId): void {
    for (const { knows } of this.gateways.values()) knows?.endWaits(id);
  }

  /** The gateway's stream has ended. Its objects remain; its trunks do not count any more. */
  detach(gateway: Gateway): void {
    gateway.attached = false;
    gateway.knows = undefined;
    gateway.established = new Set();
    this.trees.setCommanded(gateway, false);
    this.trees.put(gateway);
  }

  /** Whether an attached gateway has a trunk to the gateway. */
  hasTrunk(id: GatewayId): boolean {
    for (const { established } of this.gateways.values()) if (established.has(id)) return true;
    return false;
  }

  /**
   * Takes in a delta, in slices. Objects in it that are unknown (or removed already) are passed over: reports and
   * removals cross.
   * @throws StateError
   */
  *applying(gateway: Gateway, change: StateChange): Job<void> {
    for (const opened of change.connectionsOpened) this.trees.openConnection(gateway, opened);
    for (const opened of change.lnkConnsOpened) {
      const lnkConn = this.trees.openLnkConn(gateway, opened);
      if (lnkConn !== undefined) this.#suspectOthers(lnkConn);
    }
    yield* this.#inSlices(change.linksOpened, OBJECT_UNITS, (opened) => this.trees.openLink(gateway, opened));
    for (const { link, status } of change.linkStatuses) this.trees.setStatus(gateway, link, status);
    if (change.trunks !== undefined) yield* this.#settingTrunks(gateway, change.trunks);
    if (change.withheld !== undefined) this.#setWithheld(gateway, change.withheld.principals);
    for (const ref of change.linksKnown) this.#know(gateway, ref);
    for (const id of change.connectionsAlive) this.trees.setSuspect(gateway.connections.get(id), false);
    for (const { id, reason } of change.connectionsClosing) this.trees.setClosing(gateway.connections.get(id), reason);
    for (const refusal of change.refusals) this.#refuse(gateway, refusal);
    // If a pair is in both lists, it was closed first and then opened anew.
    for (const set of change.onDemandClosed) this.#setOnDemand(gateway, set, false);
    for (const set of change.onDemandOpened) this.#setOnDemand(gateway, set, true);
    for (const key of change.clustersHeld) this.trees.hold(gateway, key);
    for (const key of change.clustersReleased) this.trees.release(gateway, key);
    yield* this.#closingLinks(change.linksClosed.map((id) => gateway.links.get(id)));
    for (const id of change.lnkConnsClosed) yield* this.trees.closingLnkConn(gateway.lnkConns.get(id));
    for (const id of change.connectionsClosed) yield* this.trees.closingConnection(gateway.connections.get(id));
    gateway.inFlight.obeyed(change.obeyed);
    // Only new links can be ones that other gateways know already, and only a higher `lastNumber` shows that a link
    // will not come.
    const isNew = change.linksOpened.length > 0 || change.lastNumber > gateway.lastNumber;
    gateway.lastNumber = Math.max(gateway.lastNumber, change.lastNumber);
    if (isNew) yield* this.#resolvingWaiting(gateway);
    this.#noteStopping(gateway, change);
    for (const progress of change.drains) noteDrain(gateway, progress);
    if (change.drains.length > 0) this.#tell({ of: 'drained', gateway });
  }

  /**
   * Takes in a complete snapshot, the first one or any later one, in slices. Known objects of the gateway that are in
   * the snapshot remain the same objects. Its relays, its refusals and the links that it knows are replaced by the
   * snapshot's; the next selection judges them.
   * @throws StateError
   */
  *replacing(gateway: Gateway, all: StateChange): Job<void> {
    const first = !gateway.known;
    const { pieceUnits } = this.trees.tree;
    const links = yield* missing(gateway.links, all.linksOpened, pieceUnits);
    yield* this.#closingLinks(links);
    const lnkConns = yield* missing(gateway.lnkConns, all.lnkConnsOpened, pieceUnits);
    for (const lnkConn of lnkConns) yield* this.trees.closingLnkConn(lnkConn);
    const connections = yield* missing(gateway.connections, all.connectionsOpened, pieceUnits);
    for (const connection of connections) yield* this.trees.closingConnection(connection);
    yield* this.trees.forgettingRelays(gateway);

    yield* this.#inSlices(all.connectionsOpened.sort(byId), OBJECT_UNITS, (opened) =>
      this.#reviewConnection(gateway, opened),
    );
    yield* this.#settingTrunks(gateway, all.trunks ?? { established: [], unreachable: [] });
    this.#setWithheld(gateway, all.withheld?.principals ?? []);
    const added: LnkConn[] = [];
    yield* this.#inSlices(all.lnkConnsOpened.sort(byId), OBJECT_UNITS, (opened) => {
      if (gateway.lnkConns.has(opened.id)) return;
      const lnkConn = this.trees.openLnkConn(gateway, opened);
      if (lnkConn !== undefined) added.push(lnkConn);
    });
    yield* this.#inSlices(all.linksOpened.sort(byId), OBJECT_UNITS, (opened) => {
      if (!gateway.links.has(opened.id)) this.trees.openLink(gateway, opened);
    });
    yield* this.#inSlices(all.linkStatuses, 1, ({ link, status }) => this.trees.setStatus(gateway, link, status));
    this.trees.setHolds(gateway, all.clustersHeld);

    gateway.knows = new KnownLinks();
    yield* this.#inSlices(all.linksKnown, 1, (ref) => this.#know(gateway, ref));
    yield* this.#takingRelays(gateway, all);
    for (const lnkConn of gateway.lnkConns.values()) this.#forgetOnDemand(lnkConn);
    yield* this.#inSlices(all.onDemandOpened, 1, (set) => this.#setOnDemand(gateway, set, true));

    gateway.known = true;
    gateway.lastNumber = Math.max(gateway.lastNumber, all.lastNumber);
    // In a gateway's first snapshot both the old and the new connection of a peer are older than this leadership: the
    // previous leader has probed them, and doubting them again would move relays.
    if (!first) for (const lnkConn of added) this.#suspectOthers(lnkConn);
    yield* this.#resolvingWaiting(gateway);
    this.#noteStopping(gateway, all);
    gateway.drains.clear();
    for (const progress of all.drains) noteDrain(gateway, progress);
    this.#tell({ of: 'drained', gateway });
  }

  /** Takes all items, each of `each` units of work, in slices. */
  *#inSlices<T>(all: Iterable<T>, each: number, take: (one: T) => void): Job<void> {
    let units = 0;
    for (const one of all) {
      take(one);
      units += each;
      if (units < this.trees.tree.pieceUnits) continue;
      yield units;
      units = 0;
    }
    yield units;
  }

  *#closingLinks(links: readonly (Link | undefined)[]): Job<void> {
    let units = 0;
    for (const link of links) {
      units += OBJECT_UNITS + (link?.relayCount ?? 0);
      this.trees.closeLink(link);
      if (units < this.trees.tree.pieceUnits) continue;
      yield units;
      units = 0;
    }
    yield units;
  }

  #noteStopping(gateway: Gateway, { stopping }: StateChange): void {
    if (!stopping || gateway.draining) return;
    gateway.draining = true;
    this.trees.put(gateway);
  }

  #reviewConnection(gateway: Gateway, opened: ConnectionOpened): void {
    const connection = gateway.connections.get(opened.id);
    this.trees.openConnection(gateway, opened);
    if (connection === undefined) return;
    // Either the connection has been heard since, or the command to probe it was lost: probing it once more is right
    // for both.
    if (connection.suspect && !opened.suspect) this.#tell({ of: 'probe', connection });
    else if (opened.suspect) this.trees.setSuspect(connection, true);
  }

  tables(): TableSizes {
    return { ...this.trees.tables(), identities: this.#samePeer.size };
  }

  *#settingTrunks(gateway: Gateway, { established, unreachable }: NonNullable<StateChange['trunks']>): Job<void> {
    if (established.length > MAX_TRUNKS || unreachable.length > MAX_TRUNKS) {
      throw new StateError('more trunks than there can be gateways', { gateway: gateway.id });
    }
    gateway.established = new Set(established);
    for (const id of established) if (!this.gateways.has(id)) this.#tell({ of: 'named', id });
    yield* this.trees.settingUnreachable(gateway, unreachable);
  }

  #setWithheld(gateway: Gateway, principals: readonly string[]): void {
    if (principals.length > MAX_WITHHELD) {
      throw new StateError('more principals than a gateway tells of', { gateway: gateway.id });
    }
    this.trees.setWithheld(gateway, principals);
  }

  /** architecture.md, "Half-dead peers". The younger of two connections is not doubted. */
  #suspectOthers(lnkConn: LnkConn): void {
    const { connection } = lnkConn;
    for (const other of this.#samePeer.others(lnkConn)) {
      const younger = other.gateway === connection.gateway && other.id > connection.id;
      if (younger || other.suspect) continue;
      this.trees.setSuspect(other, true);
      this.#tell({ of: 'probe', connection: other });
    }
  }

  /**
   * Notes that the gateway knows another gateway's link. The gateway is told once when that link is gone: at once if it
   * is gone already.
   */
  #know(gateway: Gateway, { gateway: linkGateway, link: number }: LinkRef): void {
    const { knows } = gateway;
    if (knows === undefined || linkGateway === '' || linkGateway === gateway.id) return;
    const owner = this.gateways.get(linkGateway);
    const link = owner?.links.get(number);
    if (link !== undefined) knows.add(link);
    else if (this.#isDead(linkGateway) || isGone(owner, number))
      this.#tell({ of: 'linkGone', gateway, linkGateway, link: number });
    else {
      if (knows.waitingCount >= MAX_WAITING_LINKS) {
        throw new StateError('too many links of gateways that are not here', { gateway: gateway.id });
      }
      knows.wait(linkGateway, number);
      if (owner === undefined) this.#tell({ of: 'named', id: linkGateway });
    }
  }

  /** Takes over open relays and refusals of a snapshot. */
  *#takingRelays(gateway: Gateway, { obeyed, relaysOpen, refusals }: StateChange): Job<void> {
    gateway.inFlight.obeyed(obeyed);
    gateway.refused.clear();
    let units = 0;
    for (const { linkGateway, link: number, lnkConns } of relaysOpen) {
      const link = this.trees.linkOf(gateway, linkGateway, number);
      if (link !== undefined) this.trees.adoptRelays(gateway, link, lnkConns);
      else for (const id of lnkConns) gateway.knows?.waiting(linkGateway, number)?.open.push(id);
      units += 1 + lnkConns.length;
      if (units < this.trees.tree.pieceUnits) continue;
      yield units;
      units = 0;
    }
    yield* this.#inSlices(refusals, 1, ({ linkGateway, link: number, lnkConn }) => {
      const link = this.trees.linkOf(gateway, linkGateway, number);
      if (link !== undefined) this.#adoptRefusal(gateway, link, lnkConn);
      else gateway.knows?.waiting(linkGateway, number)?.refused.add(lnkConn);
    });
    gateway.inFlight.clear();
    yield* this.trees.tellingRelays(gateway);
  }

  #adoptRefusal(gateway: Gateway, link: Link, id: LnkConnId): void {
    const lnkConn = gateway.lnkConns.get(id);
    if (lnkConn === undefined || lnkConn.filter.dialect !== link.span.dialect) return;
    noteRefused(gateway, link, id);
    // A command for the pair that the gateway has not obeyed yet makes the refusal that of an earlier offer: the link
    // is offered again.
    if (gateway.inFlight.last(link, id) === 0) this.trees.adoptRefusals(gateway, link, [id]);
  }

  #refuse(gateway: Gateway, { lnkConn: id, linkGateway, link: number, n }: Refusal): void {
    const lnkConn = gateway.lnkConns.get(id);
    if (lnkConn === undefined) return;
    const link = this.trees.linkOf(gateway, linkGateway, number);
    if (link === undefined) {
      const waiting = gateway.knows?.waiting(linkGateway, number);
      if (waiting === undefined) return;
      waiting.open = waiting.open.filter((one) => one !== id);
      waiting.refused.add(id);
      return;
    }
    // architecture.md, "Attach": a refusal that is older than our last command for the pair is ignored.
    if (n < gateway.inFlight.last(link, id)) return;
    if (this.trees.refuse(gateway, link, lnkConn)) noteRefused(gateway, link, id);
  }

  #setOnDemand(gateway: Gateway, set: RelaySet, open: boolean): void {
    const { linkGateway, link, lnkConns } = set;
    if (this.trees.linkOf(gateway, linkGateway, link) !== undefined) {
      this.trees.setOnDemand(gateway, set, open);
      return;
    }
    const waiting = gateway.knows?.waiting(linkGateway, link);
    for (const id of lnkConns) {
      if (open) waiting?.onDemand.add(id);
      else waiting?.onDemand.delete(id);
    }
  }

  /**
   * The owner has reported its links: those that other gateways know are found now, or known to be gone, unless they
   * may still come.
   */
  *#resolvingWaiting(owner: Gateway): Job<void> {
    let units = 0;
    for (const gateway of this.gateways.values()) {
      const { knows } = gateway;
      if (knows === undefined) continue;
      for (const [number, { open, refused, onDemand }] of knows.waitingFor(owner.id)) {
        units += 1 + open.length + refused.size;
        if (units >= this.trees.tree.pieceUnits) {
          yield units;
          units = 0;
        }
        const link = owner.links.get(number);
        if (link === undefined && !isGone(owner, number)) continue;
        knows.endWait(owner.id, number);
        if (link === undefined) {
          this.#tell({ of: 'linkGone', gateway, linkGateway: owner.id, link: number });
          continue;
        }
        knows.add(link);
        this.trees.adoptRelays(gateway, link, open);
        for (const id of refused) this.#adoptRefusal(gateway, link, id);
        if (onDemand.size > 0) this.trees.setOnDemand(gateway, relaySet(gateway, link, [...onDemand]), true);
      }
    }
  }

  /** Forgets the on-demand relays of a LNK_CONN: the gateway's snapshot names those that are open. */
  #forgetOnDemand(lnkConn: LnkConn): void {
    const { gateway, onDemand } = lnkConnData(lnkConn);
    for (const link of [...(onDemand ?? [])]) {
      this.trees.setOnDemand(gateway, relaySet(gateway, link, [lnkConn.id]), false);
    }
  }

  #changed(event: TreesEvent): void {
    if (event.of === 'link' && event.kind === 'removed') this.#linkGone(event.object);
    else if (event.of === 'lnkConn' && event.kind === 'added') this.#samePeer.add(event.object);
    else if (event.of === 'lnkConn' && event.kind === 'removed') this.#samePeer.remove(event.object);
    this.#tell(event);
  }

  /** Tells every gateway that knows the link that it is gone. */
  #linkGone(link: Link): void {
    const owner = linkData(link).gateway;
    for (const gateway of this.gateways.values()) {
      gateway.refused.delete(link);
      const knew = gateway.knows?.delete(link) === true;
      // A gateway that is removed is reported as a whole.
      if (knew && !owner.gone) this.#tell({ of: 'linkGone', gateway, linkGateway: owner.id, link: link.id });
    }
  }
}

/**
 * Whether a link, which the gateway does not have, will not come: the gateway has reported all links up to a higher
 * number.
 */
function isGone(owner: Gateway | undefined, number: LinkId): boolean {
  return owner?.known === true && number <= owner.lastNumber;
}

function noteRefused(gateway: Gateway, link: Link, id: LnkConnId): void {
  const ids = gateway.refused.get(link);
  if (ids === undefined) gateway.refused.set(link, new Set([id]));
  else ids.add(id);
}

/** Records the progress of a drain. Some more drains are kept here than at the gateway, which keeps its last ones. */
function noteDrain({ drains }: Gateway, progress: DrainProgress): void {
  drains.set(progress.order, progress);
  if (drains.size <= MAX_DRAINS) return;
  const oldest = [...drains.values()].find(({ done }) => done) ?? progress;
  drains.delete(oldest.order);
}
