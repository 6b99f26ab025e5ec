import { apiDialect } from '@spanmesh/proto/dialect';
import { Commands, type DrainOrder, type GatewayPeer } from '@spanmesh/proto/v1/gateway_control';
import type { ConnId, GatewayId, LinkId } from '@spanmesh/spantree/ids';
import type { RelayGroup } from '../trees/gateway.ts';
import { connectionData, type Gateway, linkData } from '../trees/gateway.ts';

/** A message of commands is complete beyond this many bytes (estimated): far below the limit of gRPC. */
const SEAL_BYTES = 512 * 1024;
/**
 * Bytes (estimated) queued for a gateway that does not read. Beyond it its stream is ended: a new snapshot is smaller.
 */
export const MAX_QUEUED_BYTES = 32 * 1024 * 1024;

/**
 * Estimated encoded sizes: a packed double; a relay command, a remote link and its end without their lists and
 * payloads.
 */
const DOUBLE_BYTES = 8;
const RELAY_COMMAND_BYTES = 24;
const REMOTE_LINK_BYTES = 48;
const LINK_GONE_BYTES = 40;
const ORDER_BYTES = 24;
const GATEWAY_BYTES = 80;

export interface CommandSink {
  /** Writes commands. False: write no more until `drained`. */
  write(commands: Commands): boolean;
}

/** Gives the numbers of messages: one sequence for all gateways. */
export interface Numbering {
  readonly epoch: number;
  next(): number;
}

/** The commands to one gateway over one stream, in order. */
export class CommandQueue {
  readonly gateway: Gateway;
  /** While false nothing is written: the gateway has named other gateways whose snapshots are awaited. */
  isOpen = false;
  readonly #sink: CommandSink;
  readonly #numbering: Numbering;
  /** Other gateways that this gateway knows, with their addresses. */
  readonly #gateways = new Map<string, string>();
  #replicas: string;
  #sealed: Commands[] = [];
  #open: Commands | undefined;
  #openBytes = 0;
  #sealedBytes: number[] = [];
  #bytes = 0;
  #blocked = false;
  /** The open message contains nothing but gateways that are gone. */
  #onlyEnds = false;

  /** `replicas`: the addresses of replicas in Welcome. */
  constructor(
    gateway: Gateway,
    { sink, numbering, replicas }: { sink: CommandSink; numbering: Numbering; replicas: readonly string[] },
  ) {
    this.gateway = gateway;
    this.#sink = sink;
    this.#numbering = numbering;
    this.#replicas = replicas.join();
  }

  /** Bytes (estimated) that are queued. */
  get queuedBytes(): number {
    return this.#bytes;
  }

  /**
   * Adds the relays of a group. The queue keeps the group's lists: do not change them afterwards. `trace`: the trace
   * context in which the relays open. Returns the number of the message.
   */
  relays(group: RelayGroup, trace?: Buffer): number {
    const { link, open, close } = group;
    const own = linkData(link).gateway === this.gateway;
    const message = this.#message();
    const { knows } = this.gateway;
    if (!own && open.length > 0 && knows?.has(link) === false) {
      knows.add(link);
      const { payload } = linkData(link);
      const dialect = apiDialect(link.span.dialect);
      const { principal } = connectionData(link.connection).opened;
      message.links.push({ gateway: link.connection.gateway, link: link.id, dialect, payload, principal });
      this.#grow(REMOTE_LINK_BYTES + payload.length + principal.length);
    }
    message.relays.push({ gateway: own ? '' : link.connection.gateway, link: link.id, open, close, trace });
    this.#grow(RELAY_COMMAND_BYTES + DOUBLE_BYTES * (open.length + close.length) + (trace?.length ?? 0));
    return message.n;
  }

  /** Reports that a link that the gateway knows is gone. */
  linkGone(gateway: GatewayId, link: LinkId): void {
    this.#message().linksGone.push({ gateway, link });
    this.#grow(LINK_GONE_BYTES);
  }

  probe(connection: ConnId): void {
    this.#message().probe.push(connection);
    this.#grow(DOUBLE_BYTES);
  }

  /** Orders the gateway to close a connection in order. It must have the capability `drain`. */
  close(connection: ConnId, reason: string): void {
    this.#message().close.push({ connection, reason, inOrder: true });
    this.#grow(ORDER_BYTES + reason.length);
  }

  /** Orders a drain. The gateway must have the capability `drain`. */
  drain(order: DrainOrder): void {
    this.#message().drains.push(order);
    this.#grow(ORDER_BYTES + order.order.length);
  }

  /** Names another gateway, unless the gateway knows it already. */
  peer(peer: GatewayPeer): void {
    const { gateway, serviceAddress } = peer;
    if (gateway === this.gateway.id || this.#gateways.get(gateway) === serviceAddress) return;
    this.#gateways.set(gateway, serviceAddress);
    this.#message().gateways.push(peer);
    this.#grow(GATEWAY_BYTES + serviceAddress.length);
  }

  /** Reports that another gateway is gone, in a message after all earlier ones about it and its links. */
  peerGone(gateway: GatewayId): void {
    this.#gateways.delete(gateway);
    if (!this.#onlyEnds) this.#seal();
    this.#message().gatewaysGone.push(gateway);
    this.#onlyEnds = true;
    this.#grow(GATEWAY_BYTES);
  }

  /** Sends the addresses of the replicas, unless the gateway knows them already. */
  replicas(addresses: readonly string[]): void {
    const text = addresses.join();
    if (text === this.#replicas) return;
    this.#replicas = text;
    this.#message().replicas = [...addresses];
    this.#grow(text.length);
  }

  /** Writes messages as long as the stream accepts more. */
  flush(): void {
    if (!this.isOpen || this.#blocked || this.#bytes === 0) return;
    this.#seal();
    let at = 0;
    for (const message of this.#sealed) {
      if (this.#blocked) break;
      this.#bytes -= this.#sealedBytes[at++] ?? 0;
      this.#blocked = !this.#sink.write(message);
    }
    this.#sealed = this.#sealed.slice(at);
    this.#sealedBytes = this.#sealedBytes.slice(at);
  }

  /** The stream accepts more: flush. */
  drained(): void {
    this.#blocked = false;
  }

  #message(): Commands {
    if (this.#openBytes >= SEAL_BYTES) this.#seal();
    this.#onlyEnds = false;
    if (this.#open === undefined) {
      this.#open = Commands.create();
      this.#open.epoch = this.#numbering.epoch;
      this.#open.n = this.#numbering.next();
    }
    return this.#open;
  }

  #grow(bytes: number): void {
    this.#openBytes += bytes;
    this.#bytes += bytes;
  }

  #seal(): void {
    if (this.#open === undefined) return;
    this.#sealed.push(this.#open);
    this.#sealedBytes.push(this.#openBytes);
    this.#open = undefined;
    this.#openBytes = 0;
  }
}
