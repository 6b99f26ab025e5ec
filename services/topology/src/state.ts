import type {
  ConnectionOpened,
  DrainProgress,
  LnkConnOpened,
  Refusal,
  RelaySet,
  StateChange,
} from '@spanmesh/proto/v1/gateway_control';
import type { Connection, Link, LnkConn, SpanTree } from '@spanmesh/spantree/tree';
import { type Gateway, linkData, lnkConnData, type ParkedRelays } from './gateway.ts';
import { SamePeer } from './same-peer.ts';
import { byId, missing, pairsOf } from './snapshot-diff.ts';
import { relaySet, Trees, type TreesObserver } from './trees.ts';

/** Drains of one gateway that are known at a time: more than a gateway keeps. */
const MAX_DRAINS = 64;

/** Whom State tells what it has found out. None of these may change the state. */
export interface StateObserver extends TreesObserver {
  /** The connection is suspect now and shall be asked for a sign of life. */
  probe(connection: Connection): void;
  /** The gateway has told how far its drains are. */
  drained(gateway: Gateway): void;
  /** The gateway is gone: dead, or it has said goodbye. */
  gatewayGone(gateway: Gateway): void;
  /** The relay should be open on the gateway, and its snapshot says that it is not. */
  reopen(gateway: Gateway, link: Link, lnkConns: readonly number[]): void;
  /** The gateway relays a link of another gateway, so it knows its payload. */
  linkKnown(gateway: Gateway, link: Link): void;
}

/**
 * What all gateways together have said is open, as span trees. Gateways are the truth of what is open on the wire
 * (architecture.md, "Who owns what"); this only takes in, it opens and closes nothing.
 */
export class State extends Trees {
  readonly #samePeer = new SamePeer();
  readonly #observer: StateObserver;

  constructor(tree: SpanTree, { observer }: { observer: StateObserver }) {
    super(tree, { observer });
    this.#observer = observer;
  }

  /** The gateway is dead, or has said goodbye: all that was on it is gone. */
  override remove(gateway: Gateway): void {
    super.remove(gateway);
    this.#observer.gatewayGone(gateway);
    this.forgetParked(gateway.id);
  }

  /** Takes in a delta. What it names and is not known (any more) is passed over: reports and removals cross. */
  apply(gateway: Gateway, change: StateChange): void {
    for (const opened of change.connectionsOpened) this.openConnection(gateway, opened);
    for (const opened of change.lnkConnsOpened) {
      const lnkConn = this.openLnkConn(gateway, opened);
      if (lnkConn !== undefined) this.#suspectOthers(lnkConn);
    }
    for (const opened of change.linksOpened) this.openLink(gateway, opened);
    for (const { link, status } of change.linkStatuses) this.setStatus(gateway, link, status);
    for (const { gateway: other, reachable } of change.reachability) this.setReachable(gateway, other, reachable);
    for (const id of change.connectionsAlive) this.setSuspect(gateway.connections.get(id), false);
    for (const { id, reason } of change.connectionsClosing) this.setClosing(gateway.connections.get(id), reason);
    for (const refusal of change.refusals) this.#refuse(gateway, refusal);
    for (const set of change.onDemandOpened) this.#openOnDemand(gateway, set);
    for (const set of change.onDemandClosed) this.#closeOnDemand(gateway, set);
    for (const key of change.clustersHeld) this.holds.hold(gateway, key);
    for (const key of change.clustersReleased) this.holds.release(gateway, key);
    for (const id of change.linksClosed) this.closeLink(gateway.links.get(id));
    for (const id of change.lnkConnsClosed) this.closeLnkConn(gateway.lnkConns.get(id));
    for (const id of change.connectionsClosed) this.closeConnection(gateway.connections.get(id));
    gateway.inFlight.obeyed(change.obeyed);
    // Only what is new can be what others have named already, or show that it will not come.
    const isNew = change.linksOpened.length > 0 || change.lastNumber > gateway.lastNumber;
    gateway.lastNumber = Math.max(gateway.lastNumber, change.lastNumber);
    if (isNew) this.#unpark(gateway);
    this.#noteStopping(gateway, change);
    for (const progress of change.drains) noteDrain(gateway, progress);
    if (change.drains.length > 0) this.#observer.drained(gateway);
  }

  /**
   * Takes in a complete snapshot: brings what is held of the gateway in line with it, and leaves alone what is the same.
   * Relays that are open on the wire are kept for the next flush to judge; those that should be and are not are reported
   * (`reopen`), because the command or its loss went with the previous stream.
   */
  replace(gateway: Gateway, all: StateChange): void {
    const first = !gateway.known;
    gateway.inFlight.obeyed(all.obeyed);
    for (const link of missing(gateway.links, all.linksOpened)) this.closeLink(link);
    for (const lnkConn of missing(gateway.lnkConns, all.lnkConnsOpened)) this.closeLnkConn(lnkConn);
    for (const connection of missing(gateway.connections, all.connectionsOpened)) this.closeConnection(connection);

    for (const opened of all.connectionsOpened.sort(byId)) this.#reviewConnection(gateway, opened);
    const unreachable = new Set(all.reachability.filter((one) => !one.reachable).map((one) => one.gateway));
    for (const other of [...gateway.unreachable]) {
      if (!unreachable.has(other)) this.setReachable(gateway, other, true);
    }
    for (const other of unreachable) this.setReachable(gateway, other, false);
    const added: LnkConn[] = [];
    for (const opened of all.lnkConnsOpened.sort(byId)) {
      if (gateway.lnkConns.has(opened.id)) continue;
      const lnkConn = this.openLnkConn(gateway, opened);
      if (lnkConn !== undefined) added.push(lnkConn);
    }
    for (const opened of all.linksOpened.sort(byId)) {
      if (!gateway.links.has(opened.id)) this.openLink(gateway, opened);
    }
    for (const { link, status } of all.linkStatuses) this.setStatus(gateway, link, status);

    this.holds.replace(gateway, all.clustersHeld);
    gateway.parked.clear();
    for (const set of all.relaysOpen) this.#adoptRelays(gateway, set);
    if (first) for (const refusal of all.refusals) this.#adoptRefusal(gateway, refusal);
    else this.#reviewRelays(gateway, all);
    // What the snapshot names the gateway knows, and is told of its end.
    if (!first)
      for (const { linkGateway, link } of all.refusals) this.#adoptRelays(gateway, { linkGateway, link, lnkConns: [] });
    for (const lnkConn of gateway.lnkConns.values()) this.#forgetOnDemand(lnkConn);
    for (const set of all.onDemandOpened) this.#openOnDemand(gateway, set);

    gateway.known = true;
    gateway.lastNumber = Math.max(gateway.lastNumber, all.lastNumber);
    // At a first sight of the gateway both the old and the new connection of a peer have been there before: whoever led
    // then has seen to it, and doubting them again would move relays.
    if (!first) for (const lnkConn of added) this.#suspectOthers(lnkConn);
    this.#unpark(gateway);
    this.#noteStopping(gateway, all);
    gateway.drains.clear();
    for (const progress of all.drains) noteDrain(gateway, progress);
    this.#observer.drained(gateway);
  }

  /** Gateways that are named by relays and have not been heard of. */
  *parkedFor(): Iterable<string> {
    for (const { parked } of this.gateways.values()) {
      for (const id of parked.keys()) if (this.gateways.get(id)?.known !== true) yield id;
    }
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

  #noteStopping(gateway: Gateway, { stopping }: StateChange): void {
    if (!stopping || gateway.draining) return;
    gateway.draining = true;
    this.put(gateway);
  }

  #reviewConnection(gateway: Gateway, opened: ConnectionOpened): void {
    const connection = gateway.connections.get(opened.id);
    if (connection === undefined) this.openConnection(gateway, opened);
    // It has shown life meanwhile, or the command to probe it was lost: asking once more is right for both.
    else if (connection.suspect && !opened.suspect) this.#observer.probe(connection);
    else if (opened.suspect) this.setSuspect(connection, true);
  }

  override openLnkConn(gateway: Gateway, opened: LnkConnOpened): LnkConn | undefined {
    const lnkConn = super.openLnkConn(gateway, opened);
    if (lnkConn !== undefined) this.#samePeer.add(lnkConn);
    return lnkConn;
  }

  /** architecture.md, "Half-dead peers". The younger of two connections is not doubted. */
  #suspectOthers(lnkConn: LnkConn): void {
    const { connection } = lnkConn;
    for (const other of this.#samePeer.others(lnkConn)) {
      const younger = other.gateway === connection.gateway && other.id > connection.id;
      if (younger || other.suspect) continue;
      this.setSuspect(other, true);
      this.#observer.probe(other);
    }
  }

  #refuse(gateway: Gateway, refusal: Refusal): void {
    const lnkConn = gateway.lnkConns.get(refusal.lnkConn);
    const link = this.linkOf(gateway, refusal.linkGateway, refusal.link);
    if (lnkConn === undefined || link === undefined) {
      gateway.parked.get(refusal.linkGateway)?.get(refusal.link)?.refused.push(refusal.lnkConn);
      return;
    }
    // architecture.md, "Attach": a refusal that is older than our last command for the pair is ignored.
    if (refusal.n < gateway.inFlight.last(link, lnkConn.id)) return;
    this.#takeRefusal(gateway, link, lnkConn);
  }

  #takeRefusal(gateway: Gateway, link: Link, lnkConn: LnkConn): void {
    if (this.refuse(gateway, link, lnkConn)) noteRefused(gateway, link, lnkConn);
  }

  #adoptRefusal(gateway: Gateway, refusal: Refusal): void {
    const lnkConn = gateway.lnkConns.get(refusal.lnkConn);
    const link = this.linkOf(gateway, refusal.linkGateway, refusal.link);
    if (lnkConn === undefined) return;
    if (link === undefined) this.#park(gateway, refusal.linkGateway, refusal.link)?.refused.push(refusal.lnkConn);
    else if (link.span.dialect === lnkConn.filter.dialect) {
      if (linkData(link).gateway !== gateway) this.#observer.linkKnown(gateway, link);
      this.adoptRefusals(gateway, link, [lnkConn.id]);
      noteRefused(gateway, link, lnkConn);
    }
  }

  #adoptRelays(gateway: Gateway, { linkGateway, link: number, lnkConns }: RelaySet): void {
    const link = this.linkOf(gateway, linkGateway, number);
    if (link === undefined) {
      const parked = this.#park(gateway, linkGateway, number);
      if (parked === undefined) return;
      parked.named = true;
      for (const id of lnkConns) parked.open.push(id);
      return;
    }
    if (linkData(link).gateway !== gateway) this.#observer.linkKnown(gateway, link);
    this.adoptRelays(gateway, link, lnkConns);
  }

  /** After the same leader has got a second snapshot: what became of the relays that it took for open? */
  #reviewRelays(gateway: Gateway, all: StateChange): void {
    const resolve = (linkGateway: string, link: number) => this.linkOf(gateway, linkGateway, link);
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
        else {
          const ids = lost.get(link);
          if (ids === undefined) lost.set(link, [lnkConn.id]);
          else ids.push(lnkConn.id);
        }
      }
    }
    gateway.inFlight.clear();
    for (const [link, lnkConn] of refusals) this.#takeRefusal(gateway, link, lnkConn);
    for (const [link, lnkConns] of lost) this.#observer.reopen(gateway, link, lnkConns);
  }

  /** A link of another gateway may be used there before its own gateway has told of it, and after it has told of its end. */
  #openOnDemand(gateway: Gateway, set: RelaySet): void {
    if (this.linkOf(gateway, set.linkGateway, set.link) !== undefined) {
      this.setOnDemand(gateway, set, true);
      return;
    }
    const parked = this.#park(gateway, set.linkGateway, set.link);
    for (const id of set.lnkConns) parked?.onDemand.add(id);
  }

  #closeOnDemand(gateway: Gateway, set: RelaySet): void {
    const parked = gateway.parked.get(set.linkGateway)?.get(set.link);
    for (const id of set.lnkConns) parked?.onDemand.delete(id);
    this.setOnDemand(gateway, set, false);
  }

  /** Keeps relays of a link that is not known until its gateway has told of it; undefined if it has, and of its end. */
  #park(gateway: Gateway, linkGateway: string, link: number): ParkedRelays | undefined {
    if (linkGateway === '' || linkGateway === gateway.id) return undefined;
    const owner = this.gateways.get(linkGateway);
    // What has a higher number than any that it has told of comes yet.
    if (owner?.known === true && (owner.lastNumber === 0 || link <= owner.lastNumber)) {
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
      relays = { open: [], refused: [], onDemand: new Set(), named: false };
      links.set(link, relays);
    }
    return relays;
  }

  /** The gateway has told what it has: what others relay of its links can be judged. */
  #unpark(gateway: Gateway): void {
    for (const other of this.gateways.values()) {
      const links = other.parked.get(gateway.id);
      if (links === undefined) continue;
      other.parked.delete(gateway.id);
      for (const [link, { open, refused, onDemand, named }] of links) {
        if (named) this.#adoptRelays(other, { linkGateway: gateway.id, link, lnkConns: open });
        if (onDemand.size > 0) this.#openOnDemand(other, { linkGateway: gateway.id, link, lnkConns: [...onDemand] });
        for (const lnkConn of refused) {
          this.#adoptRefusal(other, { linkGateway: gateway.id, link, lnkConn, n: 0 });
        }
      }
    }
  }

  /** The gateway's snapshot says what is open on demand: nothing that it does not name. */
  #forgetOnDemand(lnkConn: LnkConn): void {
    const { gateway, onDemand } = lnkConnData(lnkConn);
    for (const link of [...(onDemand ?? [])]) this.setOnDemand(gateway, relaySet(gateway, link, [lnkConn.id]), false);
    lnkConnData(lnkConn).onDemand = undefined;
  }

  protected override dropLink(link: Link): void {
    for (const gateway of this.gateways.values()) gateway.refused.delete(link);
    super.dropLink(link);
  }

  protected override dropLnkConn(lnkConn: LnkConn): void {
    const { refused } = lnkConnData(lnkConn).gateway;
    for (const [link, ids] of refused) if (ids.delete(lnkConn.id) && ids.size === 0) refused.delete(link);
    this.#samePeer.remove(lnkConn);
    super.dropLnkConn(lnkConn);
  }
}

function noteRefused(gateway: Gateway, link: Link, lnkConn: LnkConn): void {
  const ids = gateway.refused.get(link);
  if (ids === undefined) gateway.refused.set(link, new Set([lnkConn.id]));
  else ids.add(lnkConn.id);
}

/** The gateway keeps its last ones; those that it has forgotten are forgotten here, too, a while later. */
function noteDrain({ drains }: Gateway, progress: DrainProgress): void {
  drains.set(progress.order, progress);
  if (drains.size <= MAX_DRAINS) return;
  const oldest = [...drains.values()].find(({ done }) => done) ?? progress;
  drains.delete(oldest.order);
}
