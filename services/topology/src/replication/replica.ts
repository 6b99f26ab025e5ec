import type { RelaySet } from '@spanmesh/proto/v1/gateway_control';
import type { Position, TreeChange } from '@spanmesh/proto/v1/replication';
import type { ObjectCounts } from '@spanmesh/proto/v1/topology';
import { type Job, runNow } from '@spanmesh/runtime/grpc/slices';
import { DEFAULT_PIECE_UNITS, SpanTree, type Widths } from '@spanmesh/spantree/tree';
import { countsOf } from '../show/show-status.ts';
import { Gateway } from '../trees/gateway.ts';
import type { History } from '../trees/history.ts';
import { RelayGroups } from '../trees/relay-groups.ts';
import type { TreesEvent } from '../trees/tree-events.ts';
import { OBJECT_UNITS, Trees } from '../trees/trees.ts';

/** Why a change cannot be applied: the replica differs from the leader's trees. */
export class ReplicaError extends Error {
  readonly code: 'unknown' | 'nonsense' | 'counts';
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: ReplicaError['code'], message: string, data: Readonly<Record<string, unknown>>) {
    super(message);
    this.name = 'ReplicaError';
    this.code = code;
    this.data = data;
  }
}

/**
 * A copy of the leader's trees, made by the same changes in the same order. Relays are selected here as they were at
 * the leader, and the history gets the same batches under the same revisions.
 */
export class Replica {
  readonly trees: Trees;
  readonly widths: Widths;
  readonly #history: History;
  readonly #groups = new RelayGroups();
  readonly #gateways = new Map<number, Gateway>();
  /** Whether changes are recorded in the history: those after the snapshot are, the snapshot's are not. */
  #isRecording = false;
  /** Changes that were passed over because this version does not know them. */
  unknown = 0;

  /** `pieceUnits`: units of work in one slice (SpanTree). */
  constructor(
    { widths, pieceUnits = DEFAULT_PIECE_UNITS }: { widths: Widths; pieceUnits?: number },
    { history }: { history: History },
  ) {
    this.widths = widths;
    this.#history = history;
    const tree = new SpanTree({ widths, pieceUnits });
    this.trees = new Trees(tree, { tell: (event) => this.#take(event) });
  }

  /** Records changes in the history from now on. Watches continue if their history ends where this one begins. */
  begin(position: Position): void {
    if (!this.#history.isAt(position)) this.#history.restartAt(position);
    this.#isRecording = true;
  }

  /**
   * Applies changes at once.
   * @throws ReplicaError `unknown`, `nonsense`
   */
  apply(changes: readonly TreeChange[]): void {
    runNow(this.applying(changes));
  }

  /** `apply`, in slices. */
  *applying(changes: readonly TreeChange[]): Job<void> {
    let units = 0;
    for (const change of changes) {
      yield* this.#making(change);
      units += OBJECT_UNITS;
      if (units < this.trees.tree.pieceUnits) continue;
      yield units;
      units = 0;
    }
    this.trees.tree.forgetGone();
  }

  /**
   * Compares the numbers of objects.
   * @throws ReplicaError `counts`: they differ from the leader's
   */
  check(theirs: ObjectCounts): void {
    const ours = countsOf(this.trees);
    for (const key of Object.keys(ours) as (keyof ObjectCounts)[]) {
      if (ours[key] !== theirs[key]) throw new ReplicaError('counts', 'the leader has other numbers', { ours, theirs });
    }
  }

  *#making(change: TreeChange): Job<void> {
    const { trees } = this;
    if (change.selected === true) {
      yield* trees.selecting(this.#groups);
      return;
    }
    if (change.committed !== undefined) {
      this.#history.commitAt(change.committed, this.#groups.take());
      return;
    }
    if (change.gatewayPut !== undefined) {
      const { name, boot, serviceAddress, version, attached, draining, commanded } = change.gatewayPut;
      let gateway = this.#gateways.get(change.gateway);
      if (gateway === undefined) {
        gateway = new Gateway(name, boot, serviceAddress, version);
        trees.add(gateway);
        this.#gateways.set(change.gateway, gateway);
      }
      Object.assign(gateway, { serviceAddress, version, attached, draining, known: true });
      trees.setCommanded(gateway, commanded);
      return;
    }
    const gateway = this.#gateways.get(change.gateway);
    if (gateway === undefined) throw new ReplicaError('unknown', 'no such gateway', { gateway: change.gateway });
    if (change.gatewayGone === true) {
      this.#gateways.delete(change.gateway);
      yield* trees.removing(gateway);
    } else if (!(yield* this.#onGateway(gateway, change))) {
      // By replication.proto (TreeChange) an unknown kind makes no difference to the trees: one that did would come
      // with a higher version.
      this.unknown++;
    }
  }

  /** Applies a change of a gateway's objects; returns whether its kind is known. */
  *#onGateway(gateway: Gateway, change: TreeChange): Job<boolean> {
    const { trees } = this;
    if (change.linkOpened !== undefined) trees.openLink(gateway, change.linkOpened);
    else if (change.linkClosed !== undefined) trees.closeLink(gateway.links.get(change.linkClosed));
    else if (change.linkStatus !== undefined)
      trees.setStatus(gateway, change.linkStatus.link, change.linkStatus.status);
    else if (change.lnkConnOpened !== undefined) trees.openLnkConn(gateway, change.lnkConnOpened);
    else if (change.lnkConnClosed !== undefined)
      yield* trees.closingLnkConn(gateway.lnkConns.get(change.lnkConnClosed));
    else if (change.connectionOpened !== undefined) trees.openConnection(gateway, change.connectionOpened);
    else if (change.connectionClosed !== undefined) {
      yield* trees.closingConnection(gateway.connections.get(change.connectionClosed));
    } else if (change.connectionClosing !== undefined) {
      const { id, reason } = change.connectionClosing;
      trees.setClosing(gateway.connections.get(id), reason);
    } else if (change.suspicion !== undefined) {
      trees.setSuspect(gateway.connections.get(change.suspicion.connection), change.suspicion.suspect);
    } else if (change.trunks !== undefined) {
      yield* trees.settingUnreachable(gateway, change.trunks.unreachable);
    } else if (change.withheld !== undefined) trees.setWithheld(gateway, change.withheld.principals);
    else if (change.relaysForgotten === true) yield* trees.forgettingRelays(gateway);
    else if (change.relaysTold === true) yield* trees.tellingRelays(gateway);
    else if (change.clusterHeld !== undefined) trees.hold(gateway, change.clusterHeld);
    else if (change.clusterReleased !== undefined) trees.release(gateway, change.clusterReleased);
    else if (change.onDemandOpened !== undefined) trees.setOnDemand(gateway, change.onDemandOpened, true);
    else if (change.onDemandClosed !== undefined) trees.setOnDemand(gateway, change.onDemandClosed, false);
    else return this.#onRelays(gateway, change);
    return true;
  }

  #onRelays(gateway: Gateway, { relaysAdopted, refusalsAdopted, relaysRefused }: TreeChange): boolean {
    const { trees } = this;
    const set = relaysAdopted ?? refusalsAdopted ?? relaysRefused;
    if (set === undefined) return false;
    const link = this.#linkOf(gateway, set);
    if (relaysAdopted !== undefined) trees.adoptRelays(gateway, link, set.lnkConns);
    else if (refusalsAdopted !== undefined) trees.adoptRefusals(gateway, link, set.lnkConns);
    else {
      for (const id of set.lnkConns) {
        const lnkConn = gateway.lnkConns.get(id);
        if (lnkConn !== undefined) trees.refuse(gateway, link, lnkConn);
      }
    }
    return true;
  }

  #linkOf(gateway: Gateway, { linkGateway, link: number }: RelaySet) {
    const link = this.trees.linkOf(gateway, linkGateway, number);
    if (link === undefined)
      throw new ReplicaError('unknown', 'no such link', { gateway: gateway.id, linkGateway, number });
    return link;
  }

  #take(event: TreesEvent): void {
    switch (event.of) {
      case 'reachable':
        return;
      case 'nonsense':
        throw new ReplicaError('nonsense', `${event.what} makes no sense`, {
          gateway: event.gateway.id,
          ...event.data,
        });
      default:
        if (this.#isRecording) this.#history.record(event);
    }
  }
}
