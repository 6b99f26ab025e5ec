import { status } from '@grpc/grpc-js';
import type { Hello, StateChange } from '@spanmesh/proto/v1/gateway_control';
import { ANY_GATEWAY, type GatewayCheck } from '@spanmesh/runtime/gateway-certificate';
import type { Logger } from '@spanmesh/runtime/logger';
import type { ProtocolRule } from '@spanmesh/runtime/protocol-version';
import { Attachment, type AttachmentHost, type AttachStream } from './attachment.ts';
import type { Commander } from './commander.ts';
import { Gateway, gatewayId } from './gateway.ts';
import type { Leadership } from './leadership.ts';
import type { State } from './state.ts';

/** Gateways taken on at a time: as many as the registry keeps. */
export const MAX_GATEWAYS = 4096;

const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const BOOT = /^[0-9a-f]{8}$/;
/** `host:port` */
const MAX_ADDRESS_CHARS = 300;
const MAX_VERSION_CHARS = 100;
/** Capabilities in a Hello, and characters of one (gateway_control.proto). */
const MAX_CAPABILITIES = 32;
const MAX_CAPABILITY_CHARS = 32;

/** The streams of all gateways: who may attach, and what becomes of what a gateway held when its stream ends. */
export class GatewayControl implements AttachmentHost {
  readonly #version: string;
  readonly #rnssAdd: number;
  readonly #protocol: ProtocolRule;
  readonly #state: State;
  readonly #leadership: Leadership;
  readonly #commander: Commander;
  readonly #logger: Logger;
  readonly #request: () => void;
  /** The newest stream of each gateway, by the gateway's name. */
  readonly #byName = new Map<string, Attachment>();
  /** Opened, and not accepted yet. */
  readonly #greeting = new Set<Attachment>();
  /** Streams accepted so far. */
  attached = 0;

  constructor(
    options: { version: string; rnssAdd: number },
    deps: {
      state: State;
      leadership: Leadership;
      commander: Commander;
      protocol: ProtocolRule;
      logger: Logger;
      request: () => void;
    },
  ) {
    this.#version = options.version;
    this.#rnssAdd = options.rnssAdd;
    this.#protocol = deps.protocol;
    this.#state = deps.state;
    this.#leadership = deps.leadership;
    this.#commander = deps.commander;
    this.#logger = deps.logger;
    this.#request = deps.request;
  }

  /** Gateways whose snapshot is in and whose stream stands. */
  get live(): number {
    let live = 0;
    for (const attachment of this.#byName.values()) if (attachment.state === 'live') live++;
    return live;
  }

  /** A gateway has opened a stream. `mayBe`: which gateways it may say that it is. */
  attach(stream: AttachStream, mayBe: GatewayCheck = ANY_GATEWAY): void {
    const attachment = new Attachment(stream, this, mayBe);
    if (this.#greeting.size >= MAX_GATEWAYS)
      attachment.refuse(status.RESOURCE_EXHAUSTED, 'Too many streams without a Hello.');
    else this.#greeting.add(attachment);
  }

  /** Ends every stream: this replica does not lead any more, or is going to stop. */
  endAll(details: string): void {
    for (const attachment of [...this.#greeting]) this.#drop(attachment, status.FAILED_PRECONDITION, details);
    for (const attachment of [...this.#byName.values()]) this.#drop(attachment, status.FAILED_PRECONDITION, details);
  }

  /** We lead under a new epoch. Commands of the one before mean nothing any more: whoever is attached attaches anew. */
  epochChanged(): void {
    for (const attachment of [...this.#byName.values()]) {
      if (attachment.state === 'waiting') continue;
      this.#drop(attachment, status.ABORTED, 'The leader has taken a higher epoch: attach again.');
    }
    for (const gateway of this.#state.gateways.values()) gateway.inFlight.clear();
    this.#commander.restart();
  }

  hello(attachment: Attachment, hello: Hello): void {
    const { name, boot, protocolVersion } = hello;
    const fits = hello.serviceAddress.length <= MAX_ADDRESS_CHARS && hello.version.length <= MAX_VERSION_CHARS;
    if (!NAME.test(name) || !BOOT.test(boot) || !fits) {
      const details = 'A gateway needs a name of a-z, 0-9 and -, and a boot id of 8 hexadecimal digits.';
      this.#drop(attachment, status.INVALID_ARGUMENT, details);
      return;
    }
    const whyNot = attachment.mayBe(name);
    if (whyNot !== null) {
      this.#logger.warn(
        { gateway: gatewayId(name, boot), why: whyNot },
        'somebody who may not be this gateway is refused',
      );
      this.#drop(attachment, status.PERMISSION_DENIED, whyNot);
      return;
    }
    const who = `gateway ${gatewayId(name, boot)} (${hello.version})`;
    const agreement = this.#protocol.check(protocolVersion, { role: 'gateway', who });
    if (agreement.kind === 'refused') {
      this.#drop(attachment, status.UNIMPLEMENTED, agreement.why);
      return;
    }
    if (!this.#leadership.valid) {
      const details =
        this.#leadership.notLeading() ?? 'This topology replica does not know whether it leads: try again.';
      this.#drop(attachment, status.FAILED_PRECONDITION, details);
      return;
    }
    const rival = this.#rival(name, boot);
    if (rival !== undefined) {
      this.#logger.warn({ gateway: gatewayId(name, boot), rival }, 'a second gateway of the same name is refused');
      const details = `Another gateway runs under the name ${name} (boot ${rival}): give each gateway a name of its own.`;
      this.#drop(attachment, status.ALREADY_EXISTS, details);
      return;
    }
    if (this.#byName.size >= MAX_GATEWAYS) {
      this.#drop(attachment, status.RESOURCE_EXHAUSTED, `There are ${MAX_GATEWAYS} gateways already.`);
      return;
    }
    const older = this.#byName.get(name);
    if (older !== undefined) this.#drop(older, status.ABORTED, 'A newer stream of this gateway has replaced this one.');
    this.#greeting.delete(attachment);
    this.#byName.set(name, attachment);
    attachment.gateway = this.#gatewayOf(hello);
    const capabilities = hello.capabilities.slice(0, MAX_CAPABILITIES);
    attachment.gateway.capabilities = new Set(capabilities.filter((one) => one.length <= MAX_CAPABILITY_CHARS));
    // architecture.md, "Lease": a leader that hears of a higher epoch takes that + 1 before it commands.
    if (hello.highestEpoch > this.#leadership.epoch) void this.#outrank(attachment, hello.highestEpoch);
    else this.#welcome(attachment);
  }

  snapshot(attachment: Attachment, all: StateChange): void {
    const gateway = attachment.gateway!;
    this.#commander.attach(gateway, {
      write: (commands) => attachment.write(commands),
      overflow: () => {
        this.#logger.warn({ gateway: gateway.id }, 'gateway does not read its commands: its stream is ended');
        this.#drop(attachment, status.RESOURCE_EXHAUSTED, 'Too many commands wait to be read: attach again.');
      },
    });
    this.#state.replace(gateway, all);
    gateway.attached = true;
    this.#state.put(gateway);
    this.#logger.info(
      {
        gateway: gateway.id,
        connections: gateway.connections.size,
        lnkConns: gateway.lnkConns.size,
        links: gateway.links.size,
      },
      'gateway attached',
    );
    this.#commander.membersChanged();
  }

  delta(attachment: Attachment, change: StateChange): void {
    this.#state.apply(attachment.gateway!, change);
    this.#request();
  }

  drained(attachment: Attachment): void {
    if (attachment.gateway !== undefined) this.#commander.drained(attachment.gateway);
  }

  ended(attachment: Attachment, goodbye: boolean): void {
    this.#forget(attachment);
    const { gateway } = attachment;
    if (gateway === undefined) return;
    this.#logger.info({ gateway: gateway.id, goodbye }, 'gateway detached');
    // Without a connection left there is nobody whose spans would have to be kept.
    if (goodbye && gateway.connections.size === 0) this.#remove(gateway);
    this.#request();
  }

  failed(attachment: Attachment, error: unknown): void {
    this.#logger.error({ gateway: attachment.gateway?.id, err: error }, 'message of a gateway could not be taken in');
  }

  /**
   * Removes what dead gateways held: their stream is gone and their registry entry has aged out (architecture.md,
   * "Attach"). Only a leader may declare somebody dead.
   */
  bury(): void {
    for (const gateway of [...this.#state.gateways.values()]) {
      if (this.#byName.get(gateway.name)?.gateway === gateway) continue;
      if (!gateway.known || this.#leadership.isAbsent(gateway.name, gateway.boot)) {
        this.#logger.info({ gateway: gateway.id }, 'gateway is dead');
        this.#remove(gateway);
      }
    }
    for (const id of new Set(this.#state.parkedFor())) {
      const dot = id.lastIndexOf('.');
      if (this.#state.gateways.has(id) || !this.#leadership.isAbsent(id.slice(0, dot), id.slice(dot + 1))) continue;
      this.#state.forgetParked(id);
    }
  }

  /** True while somebody's death is only a matter of time: without a stream, but not aged out. */
  get mourning(): boolean {
    if (!this.#leadership.inTerm) return false;
    for (const gateway of this.#state.gateways.values()) {
      if (this.#byName.get(gateway.name)?.gateway !== gateway) return true;
    }
    return !this.#state.parkedFor()[Symbol.iterator]().next().done;
  }

  /** The boot id of a live gateway of the same name, if there is one. */
  #rival(name: string, boot: string): string | undefined {
    const attached = this.#byName.get(name)?.gateway;
    if (attached !== undefined && attached.boot !== boot) return attached.boot;
    for (const gateway of this.#state.gateways.values()) {
      if (gateway.name === name && gateway.boot !== boot && this.#leadership.isPresent(name, gateway.boot)) {
        return gateway.boot;
      }
    }
    return undefined;
  }

  #gatewayOf({ name, boot, serviceAddress, version }: Hello): Gateway {
    for (const gateway of [...this.#state.gateways.values()]) {
      if (gateway.name !== name) continue;
      if (gateway.boot === boot) {
        gateway.serviceAddress = serviceAddress;
        gateway.version = version;
        this.#state.put(gateway);
        return gateway;
      }
      // Of one name only one boot can live, and this is it now.
      this.#remove(gateway);
    }
    const gateway = new Gateway(name, boot, serviceAddress, version);
    this.#state.add(gateway);
    return gateway;
  }

  /** A wiped store has made epochs start again: go above what the gateway has obeyed, and have everybody attach anew. */
  async #outrank(attachment: Attachment, heard: number): Promise<void> {
    attachment.wait();
    this.#logger.warn({ heard, epoch: this.#leadership.epoch }, 'a gateway has obeyed a higher epoch: going above it');
    try {
      await this.#leadership.raiseEpoch(heard);
    } catch (error) {
      this.#logger.error({ err: error }, 'epoch could not be raised');
    }
    if (attachment.state !== 'waiting') return;
    if (this.#leadership.valid && this.#leadership.epoch > heard) this.#welcome(attachment);
    else this.#drop(attachment, status.FAILED_PRECONDITION, 'This topology replica does not lead any more: try again.');
  }

  #welcome(attachment: Attachment): void {
    this.attached++;
    attachment.welcome({
      epoch: this.#leadership.epoch,
      rnssAdd: this.#rnssAdd,
      version: this.#version,
      protocolVersion: this.#protocol.own,
    });
  }

  /** Ends the stream with an error; what the gateway held stays. */
  #drop(attachment: Attachment, code: status, details: string): void {
    attachment.refuse(code, details);
    this.#forget(attachment);
    this.#request();
  }

  #forget(attachment: Attachment): void {
    this.#greeting.delete(attachment);
    const { gateway } = attachment;
    if (gateway === undefined || this.#byName.get(gateway.name) !== attachment) return;
    this.#byName.delete(gateway.name);
    gateway.attached = false;
    this.#state.put(gateway);
    this.#commander.detach(gateway);
  }

  #remove(gateway: Gateway): void {
    this.#state.remove(gateway);
    this.#commander.membersChanged();
  }
}
