import type { DrainOrder, GatewayPeer } from '@spanmesh/proto/v1/gateway_control';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Connection, Link } from '@spanmesh/spantree/tree';
import { CommandQueue, type CommandSink, MAX_QUEUED_BYTES, type Numbering } from './command-queue.ts';
import { connectionData, type Gateway, gatewayId } from './gateway.ts';
import type { Leadership, Presence } from './leadership.ts';
import { type RelayGroup, RelayGroups } from './relay-group.ts';
import type { State } from './state.ts';

/** How soon a flush that was not allowed is tried again. */
const RETRY_MS = 250;

/** A stream that commands go to. */
export interface CommandStream extends CommandSink {
  /** The gateway does not read: the stream is to be ended. */
  overflow(): void;
}

/**
 * Turns what the tree decides into commands, packed by gateway and link, and sends them: once a turn, only while the lease
 * holds, only to gateways whose snapshot is in. What cannot be sent because a gateway has no stream is not kept: its
 * next snapshot shows what is missing.
 */
export class Commander implements Numbering {
  readonly #state: State;
  readonly #leadership: Leadership;
  readonly #presence: Presence;
  readonly #clock: Clock;
  readonly #request: () => void;
  readonly #record: (groups: readonly RelayGroup[]) => void;
  readonly #queues = new Map<Gateway, CommandQueue>();
  readonly #streams = new Map<CommandQueue, CommandStream>();
  readonly #out = new RelayGroups();
  #n = 0;
  #membersChanged = true;
  #retryDue = false;
  /** Relays commanded to open and to close so far. */
  opened = 0;
  closed = 0;

  constructor(deps: {
    state: State;
    leadership: Leadership;
    presence: Presence;
    clock: Clock;
    /** Asks for a flush at the end of this turn. */
    request: () => void;
    /** Takes what was decided, for those who watch. */
    record: (groups: readonly RelayGroup[]) => void;
  }) {
    this.#state = deps.state;
    this.#leadership = deps.leadership;
    this.#presence = deps.presence;
    this.#clock = deps.clock;
    this.#request = deps.request;
    this.#record = deps.record;
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

  /** From now on the gateway is commanded; to be called before its snapshot is taken in. */
  attach(gateway: Gateway, stream: CommandStream): void {
    const queue = new CommandQueue(gateway, { sink: stream, numbering: this });
    this.#queues.set(gateway, queue);
    this.#streams.set(queue, stream);
    this.#membersChanged = true;
  }

  /** Its stream is gone; what was not written is dropped. */
  detach(gateway: Gateway): void {
    const queue = this.#queues.get(gateway);
    if (queue === undefined) return;
    this.#queues.delete(gateway);
    this.#streams.delete(queue);
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

  linkGone(link: Link): void {
    for (const queue of this.#queues.values()) queue.linkGone(link);
  }

  linkKnown(gateway: Gateway, link: Link): void {
    this.#queues.get(gateway)?.known(link);
  }

  linkUnknown(gateway: Gateway, linkGateway: string, link: number): void {
    this.#queues.get(gateway)?.linkUnknown(linkGateway, link);
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

  /** The gateway's snapshot lacks relays that the tree holds for open. */
  reopen(gateway: Gateway, link: Link, lnkConns: readonly number[]): void {
    const open = [...lnkConns];
    const n = this.#queues.get(gateway)?.relays({ link, gateway, open, close: [] }) ?? this.next();
    gateway.inFlight.note(n, link, open);
    this.opened += open.length;
  }

  /** Decides and sends, if that is allowed now; otherwise asks to be called again. */
  flush(): void {
    if (!this.#leadership.mayCommand()) {
      this.#state.tree.forgetGone();
      this.#retry();
      return;
    }
    this.#state.select(this.#out);
    const groups = this.#out.take();
    for (const group of groups) this.#dispatch(group);
    this.#record(groups);
    if (this.#membersChanged) this.#tellMembers();
    for (const queue of this.#queues.values()) {
      queue.flush();
      if (queue.queuedBytes > MAX_QUEUED_BYTES) this.#streams.get(queue)!.overflow();
    }
  }

  #dispatch(group: RelayGroup): void {
    const { link, gateway, open, close } = group;
    const n = this.#queues.get(gateway)?.relays(group) ?? this.next();
    this.opened += open.length;
    this.closed += close.length;
    if (close.length > 0) gateway.inFlight.note(n, link, close);
    const refused = gateway.refused.get(link);
    if (refused === undefined) return;
    const again = open.filter((id) => refused.delete(id));
    if (again.length > 0) gateway.inFlight.note(n, link, again);
    if (refused.size === 0) gateway.refused.delete(link);
  }

  /** Every gateway gets the list of all others: those that are known here, and those that are present though not attached (yet). */
  #tellMembers(): void {
    this.#membersChanged = false;
    const members = new Map<string, GatewayPeer>();
    for (const { name, boot, serviceAddress } of this.#presence.gateways()) {
      const gateway = gatewayId(name, boot);
      members.set(gateway, { gateway, serviceAddress });
    }
    for (const { id, serviceAddress } of this.#state.gateways.values()) {
      members.set(id, { gateway: id, serviceAddress });
    }
    const sorted = [...members.values()].sort((a, b) => (a.gateway < b.gateway ? -1 : 1));
    for (const queue of this.#queues.values()) {
      queue.gateways(sorted.filter(({ gateway }) => gateway !== queue.gateway.id));
    }
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
