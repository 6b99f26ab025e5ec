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

/** Pause before a flush that was not allowed is tried again, ms. */
export const RETRY_MS = 250;

/** The stream that commands are written to. */
export interface CommandStream extends CommandSink {
  /** A selection is complete; its last commands follow. */
  selected(): void;
  /** The gateway does not read: the stream must be ended. */
  overflow(): void;
}

/**
 * Turns the selected relays into commands, grouped by gateway and link, and sends them: once a turn, only while the
 * lease holds, and only to gateways whose snapshot has been taken in and that wait for no other gateway. For the other
 * gateways nothing is selected.
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
  /** Queues that are not open yet, with the gateways that each waits for. */
  readonly #waiting = new Map<CommandQueue, readonly string[]>();
  readonly #out = new RelayGroups((link) => this.#gone(link));
  /** Sizes of the tables: command queues, their streams, and the queues that wait for other gateways. */
  tables(): TableSizes {
    return { queues: this.#queues.size, streams: this.#streams.size, waitingQueues: this.#waiting.size };
  }

  #n = 0;
  /** Groups selected so far by the selection under way. */
  #groups: RelayGroup[] = [];
  #isSelecting = false;
  #membersChanged = true;
  #retryDue = false;
  /** Relays commanded to open so far. */
  opened = 0;
  /** Relays closed so far: by command, with their link, and with their LNK_CONN. */
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
    /** Receives the selected groups, for the history. */
    record: (groups: readonly RelayGroup[]) => void;
    /** Traces of the links whose relays are selected; default: no traces. */
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

  /** Bytes (estimated) queued for gateways that do not read. */
  get queuedBytes(): number {
    let bytes = 0;
    for (const queue of this.#queues.values()) bytes += queue.queuedBytes;
    return bytes;
  }

  /** A new term or epoch: the numbers of messages begin again. No gateway may be attached. */
  restart(): void {
    this.#n = 0;
  }

  /**
   * Begins to queue commands for the gateway. Call it before the gateway's snapshot is taken in. The gateway is
   * commanded once all gateways that it `named` (ids) have reported their objects, or their time is over. `replicas`:
   * the addresses of replicas in Welcome.
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
  }

  /** The gateway's stream has ended: unwritten commands are dropped. */
  detach(gateway: Gateway): void {
    const queue = this.#queues.get(gateway);
    if (queue === undefined) return;
    this.#queues.delete(gateway);
    this.#streams.delete(queue);
    this.#waiting.delete(queue);
  }

  /** The gateway's stream accepts more. */
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

  /** Reports to all attached gateways that another one is gone. */
  gatewayGone(id: GatewayId): void {
    for (const queue of this.#queues.values()) queue.peerGone(id);
    this.#request();
  }

  /** Reports to one gateway that another one is gone. */
  tellGone(gateway: Gateway, id: GatewayId): void {
    this.#queues.get(gateway)?.peerGone(id);
  }

  /** Sends each gateway the addresses of the replicas, unless it knows them. */
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

  /** Orders the connection's gateway to close it in order. False: the gateway is not attached. */
  close(connection: Connection, reason: string): boolean {
    const queue = this.#queues.get(connectionData(connection).gateway);
    queue?.close(connection.id, reason);
    this.#request();
    return queue !== undefined;
  }

  /** Orders the gateway to close a share of its connections. False: it is not attached. */
  drain(gateway: Gateway, order: DrainOrder): boolean {
    const queue = this.#queues.get(gateway);
    queue?.drain(order);
    this.#request();
    return queue !== undefined;
  }

  /**
   * Selects and sends, in slices, if that is allowed now; otherwise asks to be called again later. A selection that has
   * begun is completed, whatever happens to the lease.
   */
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
    for (const stream of this.#streams.values()) stream.selected();
    this.#write();
    for (const queue of this.#queues.values()) {
      if (queue.queuedBytes > MAX_QUEUED_BYTES) this.#streams.get(queue)?.overflow();
    }
    this.#traces.decided();
    if (this.#waiting.size > 0) this.#retry();
  }

  /** Called at the end of a turn in the middle of a selection: sends the relays selected so far. */
  sliced(): void {
    if (!this.#isSelecting) return;
    this.#decided();
    this.#write();
  }

  /** Turns the relays selected since the last call into commands. */
  #decided(): void {
    for (const group of this.#out.take()) {
      this.#dispatch(group);
      this.#groups.push(group);
    }
  }

  /**
   * Writes all queues. The right to command is checked before every batch (architecture.md, "Lease"); without it the
   * commands wait.
   */
  #write(): void {
    if (!this.#leadership.mayCommand()) return;
    for (const queue of this.#queues.values()) queue.flush();
  }

  /** Counts the relays that have closed with their links or LNK_CONNs since the last call. Selects nothing. */
  countGone(): void {
    this.#state.trees.tree.tellGone(this.#out);
  }

  /**
   * Counts a relay that its gateway closes by itself. If both the link and the LNK_CONN are gone, it counts for the
   * link.
   */
  #gone({ removed }: Link): void {
    this.closed[removed ? 'link' : 'lnk_conn']++;
  }

  /** Opens the queues that wait for no gateway any more: from now on their gateways are commanded. */
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

  /** Names to every gateway all the others: those known here, and those in the registry that are not attached (yet). */
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
