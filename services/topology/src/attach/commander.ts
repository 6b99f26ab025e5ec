import { gatewayId } from '@spanmesh/proto/gateway-id';
import type { DrainOrder, GatewayPeer } from '@spanmesh/proto/v1/gateway_control';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import type { TableSizes } from '@spanmesh/runtime/table-sizes';
import type { GatewayId, LinkId } from '@spanmesh/spantree/ids';
import type { Connection, Link } from '@spanmesh/spantree/tree';
import type { RelayGroup } from '../trees/gateway.ts';
import { connectionData, type Gateway } from '../trees/gateway.ts';
import { RelayGroups } from '../trees/relay-groups.ts';
import type { State } from '../trees/state.ts';
import { CommandQueue, type CommandSink, MAX_QUEUED_BYTES, type Numbering } from './command-queue.ts';
import type { Leadership } from './leadership.ts';
import { LinkTraces } from './link-traces.ts';
import type { Presence } from './presence.ts';
import type { Roster } from './roster.ts';

/** How soon a flush that was not allowed is tried again. */
const RETRY_MS = 250;

/** A stream that commands go to. */
export interface CommandStream extends CommandSink {
  /** The gateway does not read: the stream is to be ended. */
  overflow(): void;
}

/**
 * Turns what the tree decides into commands, packed by gateway and link, and sends them: once a turn, only while the lease holds, only
 * to gateways whose snapshot is in and that name nobody who is waited for. For the others nothing is decided.
 */
export class Commander implements Numbering {
  readonly #state: State;
  readonly #leadership: Leadership;
  readonly #presence: Pick<Presence, 'gateways'>;
  readonly #roster: Roster;
  readonly #isDead: (id: GatewayId) => boolean;
  readonly #clock: Clock;
  readonly #request: () => void;
  readonly #record: (groups: readonly RelayGroup[]) => void;
  readonly #traces: LinkTraces;
  readonly #queues = new Map<Gateway, CommandQueue>();
  readonly #streams = new Map<CommandQueue, CommandStream>();
  /** Queues that are not open yet, with the gateways that they wait for. */
  readonly #waiting = new Map<CommandQueue, readonly string[]>();
  readonly #out = new RelayGroups((link) => this.#gone(link));
  /** Command queues, their streams, and the queues that wait for other gateways. */
  tables(): TableSizes {
    return { queues: this.#queues.size, streams: this.#streams.size, waitingQueues: this.#waiting.size };
  }

  #n = 0;
  /** Groups that the selection under way has decided on. */
  #groups: RelayGroup[] = [];
  #isSelecting = false;
  #membersChanged = true;
  #retryDue = false;
  /** Relays commanded to open so far. */
  opened = 0;
  /** Relays that were commanded to close so far, and relays that closed with their link or their LNK_CONN. */
  readonly closed = { selection: 0, link: 0, lnk_conn: 0 };

  constructor(deps: {
    state: State;
    leadership: Leadership;
    presence: Pick<Presence, 'gateways'>;
    roster: Roster;
    isDead: (id: GatewayId) => boolean;
    clock: Clock;
    /** Asks for a flush at the end of this turn. */
    request: () => void;
    /** Takes the relays that were decided on, for the history. */
    record: (groups: readonly RelayGroup[]) => void;
    /** Traces of links that decisions belong to; default: nothing is traced. */
    traces?: LinkTraces;
  }) {
    this.#state = deps.state;
    this.#leadership = deps.leadership;
    this.#presence = deps.presence;
    this.#roster = deps.roster;
    this.#isDead = deps.isDead;
    this.#clock = deps.clock;
    this.#request = deps.request;
    this.#record = deps.record;
    this.#traces = deps.traces ?? new LinkTraces({});
  }

  get epoch(): number {
    return this.#leadership.epoch;
  }

  next(): number {
    return ++this.#n;
  }

  /** Bytes (estimated) waiting for gateways that do not read. */
  get queuedBytes(): number {
    let bytes = 0;
    for (const queue of this.#queues.values()) bytes += queue.queuedBytes;
    return bytes;
  }

  /** A new term or epoch: numbers start again. No gateway may be attached. */
  restart(): void {
    this.#n = 0;
  }

  /**
   * From now on the gateway is told things; to be called before its snapshot is taken in. It is commanded once all that it `named` (ids)
   * have told what they have, or had their time. `replicas`: what it was told with Welcome.
   */
  attach(
    gateway: Gateway,
    stream: CommandStream,
    { named, replicas }: { named: readonly string[]; replicas: readonly string[] },
  ): void {
    const queue = new CommandQueue(gateway, { sink: stream, numbering: this, replicas });
    this.#queues.set(gateway, queue);
    this.#streams.set(queue, stream);
    this.#waiting.set(queue, named);
    this.#membersChanged = true;
  }

  /** Its stream is gone; what was not written is dropped. */
  detach(gateway: Gateway): void {
    const queue = this.#queues.get(gateway);
    if (queue === undefined) return;
    this.#queues.delete(gateway);
    this.#streams.delete(queue);
    this.#waiting.delete(queue);
  }

  /** The gateway's stream takes more. */
  drained(gateway: Gateway): void {
    const queue = this.#queues.get(gateway);
    queue?.drained();
    if (this.#leadership.mayCommand()) queue?.flush();
    else this.#request();
  }

  membersChanged(): void {
    this.#membersChanged = true;
    this.#request();
  }

  /** The gateway is gone: all that are attached are told. */
  gatewayGone(id: GatewayId): void {
    for (const queue of this.#queues.values()) queue.peerGone(id);
    this.#request();
  }

  /** This one is told that another is gone. */
  tellGone(gateway: Gateway, id: GatewayId): void {
    this.#queues.get(gateway)?.peerGone(id);
  }

  /** Tells each gateway where the replicas are, unless it knows. */
  replicasAre(addresses: readonly string[]): void {
    for (const queue of this.#queues.values()) queue.replicas(addresses);
    this.#request();
  }

  linkGone(gateway: Gateway, linkGateway: GatewayId, link: LinkId): void {
    this.#queues.get(gateway)?.linkGone(linkGateway, link);
  }

  probe(connection: Connection): void {
    this.#queues.get(connectionData(connection).gateway)?.probe(connection.id);
  }

  /** Has its gateway close the connection in order. False: it is not attached, so nobody is told. */
  close(connection: Connection, reason: string): boolean {
    const queue = this.#queues.get(connectionData(connection).gateway);
    queue?.close(connection.id, reason);
    this.#request();
    return queue !== undefined;
  }

  /** Has the gateway close a share of its connections. False as `close`. */
  drain(gateway: Gateway, order: DrainOrder): boolean {
    const queue = this.#queues.get(gateway);
    queue?.drain(order);
    this.#request();
    return queue !== undefined;
  }

  /** Decides and sends, in slices, if that is allowed now; otherwise asks to be called again. What was begun is ended, whatever the lease does. */
  *flushing(): Job<void> {
    if (!this.#leadership.mayCommand()) {
      this.#state.trees.tree.tellGone(this.#out);
      this.#retry();
      return;
    }
    this.#openQueues();
    this.#groups = [];
    this.#isSelecting = true;
    try {
      yield* this.#state.trees.selecting(this.#out);
    } finally {
      this.#isSelecting = false;
    }
    this.#decided();
    this.#record(this.#groups);
    this.#groups = [];
    if (this.#membersChanged) this.#tellMembers();
    this.#write();
    for (const queue of this.#queues.values()) {
      if (queue.queuedBytes > MAX_QUEUED_BYTES) this.#streams.get(queue)?.overflow();
    }
    this.#traces.decided();
    if (this.#waiting.size > 0) this.#retry();
  }

  /** The end of a turn, in the midst of work: what has been selected in it goes out. */
  sliced(): void {
    if (!this.#isSelecting) return;
    this.#decided();
    this.#write();
  }

  /** Takes over what has been selected since the last time. */
  #decided(): void {
    for (const group of this.#out.take()) {
      this.#dispatch(group);
      this.#groups.push(group);
    }
  }

  /** architecture.md, "Lease": checked before every batch of commands. What may not be written now waits. */
  #write(): void {
    if (!this.#leadership.mayCommand()) return;
    for (const queue of this.#queues.values()) queue.flush();
  }

  /** Counts the relays that have closed since the last time; nothing is decided. */
  countGone(): void {
    this.#state.trees.tree.tellGone(this.#out);
  }

  /** Their gateway closes it by itself. Of both that are gone the link counts. */
  #gone({ removed }: Link): void {
    this.closed[removed ? 'link' : 'lnk_conn']++;
  }

  /** Opens the queues whose gateways wait for no other gateway any more: from now on these are commanded. */
  #openQueues(): void {
    for (const [queue, named] of this.#waiting) {
      if (!named.every((id) => this.#roster.isResolved(id))) continue;
      this.#waiting.delete(queue);
      queue.isOpen = true;
      this.#state.trees.setCommanded(queue.gateway, true);
    }
  }

  #dispatch(group: RelayGroup): void {
    const { link, gateway, open, close } = group;
    const queue = this.#queues.get(gateway);
    if (queue === undefined) return;
    const n = queue.relays(group, open.length > 0 ? this.#traces.of(link) : undefined);
    this.opened += open.length;
    this.closed.selection += close.length;
    if (close.length > 0) gateway.inFlight.note(n, link, close);
    const refused = gateway.refused.get(link);
    if (refused === undefined) return;
    const again = open.filter((id) => refused.delete(id));
    if (again.length > 0) gateway.inFlight.note(n, link, again);
    if (refused.size === 0) gateway.refused.delete(link);
  }

  /** Every gateway hears of all others: the gateways known here, and those in the registry that are not attached (yet). */
  #tellMembers(): void {
    this.#membersChanged = false;
    const members = new Map<string, GatewayPeer>();
    for (const { name, boot, serviceAddress } of this.#presence.gateways()) {
      const gateway = gatewayId({ name, boot });
      if (!this.#isDead(gateway)) members.set(gateway, { gateway, serviceAddress });
    }
    for (const { id, serviceAddress } of this.#state.gateways.values()) {
      members.set(id, { gateway: id, serviceAddress });
    }
    const sorted = [...members.values()].sort((a, b) => (a.gateway < b.gateway ? -1 : 1));
    for (const queue of this.#queues.values()) for (const peer of sorted) queue.peer(peer);
  }

  #retry(): void {
    if (this.#retryDue || !this.#leadership.inTerm) return;
    this.#retryDue = true;
    this.#clock.after(RETRY_MS, () => {
      this.#retryDue = false;
      this.#request();
    });
  }
}
