import { status } from '@grpc/grpc-js';
import { gatewayId, gatewayName, isGatewayName } from '@spanmesh/proto/gateway-id';
import { type Commands, type Hello, RefusalReason, type StateChange } from '@spanmesh/proto/v1/gateway_control';
import { ProcessKind } from '@spanmesh/proto/v1/topology';
import type { Clock } from '@spanmesh/runtime/clock';
import type { ProtocolRule } from '@spanmesh/runtime/grpc/protocol-version';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import { isBelievableEpoch } from '@spanmesh/runtime/lease/epoch';
import { type Logger, Throttle } from '@spanmesh/runtime/log/logger';
import { ANY_GATEWAY, type GatewayCheck } from '@spanmesh/runtime/tls/gateway-certificate';
import type { WorkList } from '@spanmesh/runtime/work-list';
import { Gateway } from '../trees/gateway.ts';
import type { State } from '../trees/state.ts';
import { Attachment, type AttachmentHost, type AttachStream } from './attachment.ts';
import type { Commander } from './commander.ts';
import type { Deathwatch } from './deathwatch.ts';
import type { Graves } from './graves.ts';
import type { Leadership } from './leadership.ts';
import type { LinkTraces } from './link-traces.ts';
import type { MemberEvents } from './member-events.ts';
import type { Presence } from './presence.ts';
import type { Reaper } from './reaper.ts';
import { causeOf, statusOf } from './refusal-reasons.ts';
import type { Refusals } from './refusals.ts';
import type { Roster } from './roster.ts';
import type { TakeOver } from './take-over.ts';

/** Gateways attached at a time: as many as the registry keeps. */
export const MAX_GATEWAYS = 4096;

/** `host:port` */
const MAX_ADDRESS_CHARS = 300;
const MAX_VERSION_CHARS = 100;
/** Capabilities in a Hello, and characters of each (gateway_control.proto). */
const MAX_CAPABILITIES = 32;
/** Other gateways in a Hello: more than an installation can have, including dead ones. */
const MAX_NAMED = 8192;
const MAX_CAPABILITY_CHARS = 32;

export interface GatewayControlOptions {
  /** Version of the software. */
  readonly version: string;
  /** The rnss that each relay adds. */
  readonly rnssAdd: number;
  /** Name of the installation. */
  readonly installation: string;
}

export interface GatewayControlDeps {
  readonly state: State;
  readonly leadership: Leadership;
  readonly commander: Commander;
  readonly roster: Roster;
  readonly graves: Graves;
  readonly deathwatch: Deathwatch;
  readonly reaper: Reaper;
  readonly refusals: Refusals;
  readonly members: Pick<MemberEvents, 'gatewayAttached' | 'gatewayLost'>;
  readonly presence: Pick<Presence, 'get'>;
  readonly protocol: ProtocolRule;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Service ports of all replicas, for Welcome. */
  readonly replicas: () => readonly string[];
  /** Asks for a flush at the end of this turn. */
  readonly request: () => void;
  readonly traces: LinkTraces;
  readonly takeOver: TakeOver;
  /** Queues the jobs that change the state. */
  readonly work: WorkList;
}

/** The same problem is logged at most once in this time, ms. */
const LOG_INTERVAL_MS = 10_000;

/** Why a gateway is refused: a reason for the gateway, and a text for people. */
interface No {
  readonly reason: RefusalReason;
  readonly details: string;
}

/**
 * The streams of all gateways: decides which gateway may attach, and what happens to its objects when its stream ends.
 */
export class GatewayControl implements AttachmentHost {
  readonly work: WorkList;
  readonly #options: GatewayControlOptions;
  readonly #deps: GatewayControlDeps;
  /** The newest stream of each gateway, by the gateway's name. */
  readonly #byName = new Map<string, Attachment>();
  /** Open streams without an accepted Hello. */
  readonly #greeting = new Set<Attachment>();
  /** Streams accepted so far. */
  attached = 0;
  readonly #throttle: Throttle;
  #helloAt = Number.NEGATIVE_INFINITY;

  constructor(options: GatewayControlOptions, deps: GatewayControlDeps) {
    this.#options = options;
    this.#deps = deps;
    this.work = deps.work;
    this.#throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock: deps.clock });
  }

  /** When a gateway was last known to reach this replica, by the monotonic clock. */
  get reachedAt(): number {
    return this.#byName.size > 0 ? this.#deps.clock.now() : this.#helloAt;
  }

  /** Streams without a Hello. */
  get greeting(): number {
    return this.#greeting.size;
  }

  /** Gateways that are attached and whose snapshot is complete. */
  get live(): number {
    let live = 0;
    for (const attachment of this.#byName.values()) if (attachment.state === 'live') live++;
    return live;
  }

  /** Takes a new stream of a gateway. `mayBe`: checks which gateways it may claim to be. */
  attach(stream: AttachStream, mayBe: GatewayCheck = ANY_GATEWAY): void {
    const attachment = new Attachment(stream, this, mayBe);
    if (this.#greeting.size >= MAX_GATEWAYS)
      attachment.refuse(status.RESOURCE_EXHAUSTED, 'Too many streams without a Hello.');
    else this.#greeting.add(attachment);
  }

  /** Ends every stream: this replica does not lead any more, or is going to stop. */
  endAll(details: string): void {
    for (const attachment of [...this.#greeting]) {
      this.#drop(attachment, status.FAILED_PRECONDITION, details, RefusalReason.REFUSAL_REASON_NOT_LEADER);
    }
    for (const attachment of [...this.#byName.values()]) this.#drop(attachment, status.FAILED_PRECONDITION, details);
  }

  /** This replica leads under a new epoch. Commands of the previous epoch are void: every gateway attaches anew. */
  epochChanged(): void {
    for (const attachment of [...this.#byName.values()]) {
      if (attachment.state === 'waiting') continue;
      this.#drop(attachment, status.ABORTED, 'The leader has taken a higher epoch: attach again.');
    }
    for (const gateway of this.#deps.state.gateways.values()) gateway.inFlight.clear();
    this.#deps.commander.restart();
  }

  *hello(attachment: Attachment, hello: Hello): Job<void> {
    const { roster, leadership, reaper, commander } = this.#deps;
    const { name, boot } = hello;
    this.#helloAt = this.#deps.clock.now();
    const fits = hello.serviceAddress.length <= MAX_ADDRESS_CHARS && hello.version.length <= MAX_VERSION_CHARS;
    if (!isGatewayName(hello) || !fits) {
      const details = 'A gateway needs a name of a-z, 0-9 and -, and a boot id of 8 hexadecimal digits.';
      this.#drop(attachment, status.INVALID_ARGUMENT, details);
      return;
    }
    const no = this.#whyNot(hello, attachment.mayBe(name));
    if (no !== undefined) {
      this.#refuse(attachment, hello, no);
      return;
    }
    const older = this.#byName.get(name);
    if (older !== undefined) this.#drop(older, status.ABORTED, 'A newer stream of this gateway has replaced this one.');
    // Only one boot of a gateway's name can be alive: from now on it is this one.
    for (const rival of roster.rivals(hello)) yield* reaper.declaringDead(rival);
    const id = gatewayId({ name, boot });
    this.#greeting.delete(attachment);
    this.#byName.set(name, attachment);
    roster.attached(id);
    this.#deps.refusals.taken({ kind: ProcessKind.PROCESS_KIND_LINK_GATEWAY, name: id });
    reaper.isBack(name);
    attachment.named = hello.gatewaysKnown.slice(0, MAX_NAMED).filter((one) => one !== id && gatewayName(one) !== null);
    attachment.gateway = this.#gatewayOf(hello);
    for (const one of attachment.named) yield* reaper.hearing(one);
    const capabilities = hello.capabilities.slice(0, MAX_CAPABILITIES);
    attachment.gateway.capabilities = new Set(capabilities.filter((one) => one.length <= MAX_CAPABILITY_CHARS));
    commander.membersChanged();
    // A leader that hears of a higher epoch takes the next one above it before it commands (architecture.md, "Lease").
    if (hello.highestEpoch > leadership.epoch) void this.#outrank(attachment, hello.highestEpoch);
    else this.#welcome(attachment);
  }

  *snapshot(attachment: Attachment, all: StateChange): Job<void> {
    const { state, commander, roster, graves, members, logger, takeOver } = this.#deps;
    const { gateway, named, replicas } = attachment;
    if (gateway === undefined) return;
    const stream = {
      write: (commands: Commands) => attachment.write(commands),
      selected: () => attachment.selected(),
      overflow: () => {
        logger.warn({ gateway: gateway.id }, 'gateway does not read its commands: its stream is ended');
        members.gatewayLost(gateway, { goodbye: false });
        this.#drop(attachment, status.RESOURCE_EXHAUSTED, 'Too many commands wait to be read: attach again.');
      },
    };
    commander.attach(gateway, stream, { named, replicas });
    for (const id of named) if (graves.has(id)) commander.tellGone(gateway, id);
    yield* state.replacing(gateway, all);
    gateway.attached = true;
    state.trees.put(gateway);
    roster.told(gateway.id);
    takeOver.attached(gateway);
    logger.info(
      {
        gateway: gateway.id,
        connections: gateway.connections.size,
        lnkConns: gateway.lnkConns.size,
        links: gateway.links.size,
      },
      'gateway attached',
    );
    members.gatewayAttached(gateway);
    commander.membersChanged();
  }

  *delta(attachment: Attachment, change: StateChange): Job<void> {
    if (attachment.gateway === undefined) return;
    yield* this.#deps.state.applying(attachment.gateway, change);
    this.#deps.traces.opened(attachment.gateway, change.linksOpened);
    this.#deps.request();
  }

  /**
   * Reports to the gateways that their deltas have been taken in, and relays selected because of them, so that they may
   * send more; to those that had commands in this turn the commands have reported it. Call it at the end of each turn.
   */
  tellTaken(): void {
    for (const attachment of this.#byName.values()) attachment.tellTaken();
  }

  drained(attachment: Attachment): void {
    if (attachment.gateway !== undefined) this.#deps.commander.drained(attachment.gateway);
  }

  *ended(attachment: Attachment, goodbye: boolean): Job<void> {
    this.#forget(attachment);
    const { gateway } = attachment;
    if (gateway === undefined) return;
    this.#deps.logger.info({ gateway: gateway.id, goodbye }, 'gateway detached');
    this.#deps.members.gatewayLost(gateway, { goodbye });
    // Without connections the gateway has no spans that must be kept.
    if (goodbye && gateway.connections.size === 0) yield* this.#deps.reaper.declaringDead(gateway.id);
    this.#deps.request();
  }

  failed(attachment: Attachment, error: unknown): void {
    this.#deps.logger.error(
      { gateway: attachment.gateway?.id, err: error },
      'message of a gateway could not be taken in',
    );
  }

  /**
   * Why the gateway is refused; undefined: it is accepted. `notAllowed`: why the caller's certificate does not allow it
   * to be this gateway; null: it does.
   */
  #whyNot(hello: Hello, notAllowed: string | null): No | undefined {
    const { leadership, graves, protocol, clock } = this.#deps;
    const { installation } = this.#options;
    const id = gatewayId(hello);
    if (notAllowed !== null) return { reason: RefusalReason.REFUSAL_REASON_NOT_ALLOWED, details: notAllowed };
    const agreement = protocol.check(hello.protocolVersion, {
      role: 'gateway',
      who: `gateway ${id} (${hello.version})`,
    });
    if (agreement.kind === 'refused') {
      return { reason: RefusalReason.REFUSAL_REASON_VERSION, details: agreement.why };
    }
    if (hello.installation !== installation) {
      const details = `This is installation ${installation}, the gateway belongs to ${shown(hello.installation)}.`;
      return { reason: RefusalReason.REFUSAL_REASON_OTHER_INSTALLATION, details };
    }
    if (!leadership.valid) {
      const details = leadership.notLeading() ?? 'This topology replica does not know whether it leads: try again.';
      return { reason: RefusalReason.REFUSAL_REASON_NOT_LEADER, details };
    }
    const known = { known: leadership.epoch, wallMs: clock.wall() };
    if (!isBelievableEpoch(hello.highestEpoch, known)) {
      const details = `The gateway names epoch ${hello.highestEpoch}, which cannot be: this leader's is ${known.known}.`;
      return { reason: RefusalReason.REFUSAL_REASON_EPOCH, details };
    }
    if (graves.has(id)) {
      const details =
        'The gateway was declared dead, and its links given up: it takes a new boot id and attaches again.';
      return { reason: RefusalReason.REFUSAL_REASON_DECLARED_DEAD, details };
    }
    const rival = this.#livingRival(hello);
    if (rival !== undefined) {
      const details = `Another gateway runs under the name ${hello.name} (${rival}): give each gateway a name of its own.`;
      return { reason: RefusalReason.REFUSAL_REASON_NAME_TAKEN, details };
    }
    if (this.#byName.size >= MAX_GATEWAYS && !this.#byName.has(hello.name)) {
      const details = `There are ${MAX_GATEWAYS} gateways already.`;
      return { reason: RefusalReason.REFUSAL_REASON_TOO_MANY, details };
    }
    return undefined;
  }

  /** The id of another living gateway of the same name, if there is one. */
  #livingRival(hello: Hello): string | undefined {
    const { roster, deathwatch, presence, state } = this.#deps;
    const attached = this.#byName.get(hello.name)?.gateway;
    if (attached !== undefined && attached.boot !== hello.boot) return attached.id;
    // The process that registered last under the name is the younger one. Recent signs of life of the older one do not
    // count then.
    const isYounger = presence.get(hello.name)?.boot === hello.boot;
    return roster.rivals(hello).find((id) => (isYounger ? state.hasTrunk(id) : deathwatch.showsLife(id)));
  }

  #gatewayOf({ name, boot, serviceAddress, version }: Hello): Gateway {
    const { state } = this.#deps;
    const known = state.gateways.get(gatewayId({ name, boot }));
    if (known !== undefined) {
      known.serviceAddress = serviceAddress;
      known.version = version;
      state.trees.put(known);
      return known;
    }
    const gateway = new Gateway(name, boot, serviceAddress, version);
    state.trees.add(gateway);
    return gateway;
  }

  /**
   * A store that was wiped begins with low epochs: the leader takes an epoch above those that gateways have obeyed, and
   * all gateways attach anew.
   */
  async #outrank(attachment: Attachment, heard: number): Promise<void> {
    const { leadership, logger } = this.#deps;
    attachment.wait();
    logger.warn({ heard, epoch: leadership.epoch }, 'a gateway has obeyed a higher epoch: going above it');
    try {
      await leadership.raiseEpoch(heard);
    } catch (error) {
      logger.error({ err: error }, 'epoch could not be raised');
    }
    this.work.do(() => {
      if (attachment.state !== 'waiting') return;
      if (leadership.valid && leadership.epoch > heard) this.#welcome(attachment);
      else {
        const details = 'This topology replica does not lead any more: try again.';
        this.#drop(attachment, status.FAILED_PRECONDITION, details, RefusalReason.REFUSAL_REASON_NOT_LEADER);
      }
    });
  }

  #welcome(attachment: Attachment): void {
    const { leadership, protocol, replicas, takeOver } = this.#deps;
    this.attached++;
    attachment.welcome({
      epoch: leadership.epoch,
      rnssAdd: this.#options.rnssAdd,
      version: this.#options.version,
      protocolVersion: protocol.own,
      replicas: [...replicas()],
      tellsTaken: true,
      trace: takeOver.context,
    });
  }

  /** Refuses a gateway, with the reason. */
  #refuse(attachment: Attachment, hello: Hello, { reason, details }: No): void {
    const { refusals, logger } = this.#deps;
    const name = gatewayId(hello);
    const cause = causeOf(reason);
    if (cause !== undefined) {
      refusals.note({ kind: ProcessKind.PROCESS_KIND_LINK_GATEWAY, name, cause, details });
      const { log, suppressed } = this.#throttle.admit(`${cause} ${hello.name}`);
      if (log) logger.warn({ gateway: name, details, suppressed }, 'a gateway is refused');
    }
    this.#drop(attachment, statusOf(reason), details, reason);
  }

  /** Ends the stream with an error; the gateway's objects remain. */
  #drop(attachment: Attachment, code: status, details: string, reason?: RefusalReason): void {
    const { leaderAddress } = this.#deps.leadership;
    const isNotLeader = reason === RefusalReason.REFUSAL_REASON_NOT_LEADER;
    const refused = reason !== undefined && { reason, leaderAddress: isNotLeader ? leaderAddress : '' };
    attachment.refuse(code, details, refused || undefined);
    this.#forget(attachment);
    this.#deps.request();
  }

  #forget(attachment: Attachment): void {
    this.#greeting.delete(attachment);
    const { gateway } = attachment;
    if (gateway === undefined || this.#byName.get(gateway.name) !== attachment) return;
    this.#byName.delete(gateway.name);
    this.#deps.commander.detach(gateway);
    this.#deps.state.detach(gateway);
    this.#deps.roster.detached(gateway.id);
  }
}

function shown(installation: string): string {
  return installation === '' ? 'one without a name' : installation.slice(0, MAX_VERSION_CHARS);
}
