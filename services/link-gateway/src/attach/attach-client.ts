import { type ClientDuplexStream, type ServiceError, status } from '@grpc/grpc-js';
import { gatewayId } from '@spanmesh/proto/gateway-id';
import {
  type AttachRequest,
  type AttachResponse,
  type Commands,
  GatewayControlClient,
  type Hello,
  RefusalReason,
  type Refused,
  refusalReasonToJSON,
  StateChange,
  type Welcome,
} from '@spanmesh/proto/v1/gateway_control';
import { Backoff } from '@spanmesh/runtime/backoff';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { channelOptions, PLAINTEXT } from '@spanmesh/runtime/grpc/grpc-client';
import { Intake } from '@spanmesh/runtime/grpc/intake';
import { ProtocolRule } from '@spanmesh/runtime/grpc/protocol-version';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import { type Logger, Throttle } from '@spanmesh/runtime/log/logger';
import type { Random } from '@spanmesh/runtime/random';
import type { ChannelSecurity } from '@spanmesh/runtime/tls/tls-credentials';
import type { Step } from '@spanmesh/runtime/trace/step';
import { readTraceContext } from '@spanmesh/runtime/trace/trace-context';
import { NO_TRACING, type Tracing } from '@spanmesh/runtime/trace/tracing';
import { Turn } from '@spanmesh/runtime/turn';
import { WorkList } from '@spanmesh/runtime/work-list';
import { DELTA_BYTES } from '../shares/limits.ts';
import type { Attach, AttachRefusal } from './attach.ts';
import type { AttachHost } from './attach-host.ts';
import { DeltaWindow } from './delta-window.ts';
import { explain } from './refusals.ts';
import type { Reports } from './reports.ts';
import type { TopologyLocator } from './topology-locator.ts';

/** Hello.capabilities: what this gateway can do beyond version 1 of the protocol (gateway_control.proto). */
const CAPABILITIES: readonly string[] = ['drain'];
/** Pauses between rounds of attempts: doubled each time, each shortened by up to half at random. */
export const FIRST_BACKOFF_MS = 100;
export const MAX_BACKOFF_MS = 5000;
/** How long the leader may take to answer Hello with Welcome, ms; it may have to raise its epoch first. */
export const WELCOME_MS = 10_000;
/** How long a replica that nobody names as leader may take, while others are still to be asked, ms. */
export const ANSWER_MS = 3000;
/** How long the gRPC status that ends a refused stream may take to follow Refused, ms. */
export const STATUS_MS = 1000;
/** Bytes (estimated) of changes that wait for a leader that does not read; past this a snapshot is cheaper. */
export const MAX_PENDING_BYTES = 32 * 1024 * 1024;
/** How soon the leader is told which commands were obeyed when there is nothing else to tell, ms. */
export const OBEYED_MS = 200;
/** How long stop() waits for the leader to take in the last delta, ms. */
export const GOODBYE_MS = 2000;
/** A loss or a refusal of one kind is logged once in this time, ms. */
const LOG_INTERVAL_MS = 10_000;
/** Statuses of a stream that ends because its leader stops or another replica leads: worth no warning. */
const EXPECTED = new Set<status>([status.FAILED_PRECONDITION, status.ABORTED, status.CANCELLED]);

export interface AttachClientOptions {
  /** Name of the installation that the gateway belongs to. */
  readonly installation: string;
  /** Credentials of the channel to the leader; plaintext unless given. */
  readonly security?: ChannelSecurity;
}

export interface AttachClientDependencies {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Random;
  readonly host: AttachHost;
  readonly reports: Reports;
  readonly locator: Pick<
    TopologyLocator,
    'address' | 'next' | 'isExhausted' | 'again' | 'isNamed' | 'leads' | 'knows' | 'doesNotLead'
  >;
  readonly protocol?: ProtocolRule;
  readonly tracing?: Pick<Tracing, 'tracer'>;
}

type Stream = ClientDuplexStream<AttachRequest, AttachResponse>;

/** A stream and its channel. Each attempt has a channel of its own, so that host names are looked up afresh. */
interface Call {
  readonly client: GatewayControlClient;
  readonly stream: Stream;
  readonly address: string;
  /** Pauses the stream while many of its Commands wait to be obeyed. */
  readonly intake: Intake;
}

/**
 * State of the Attach stream; changed in `#become` only.
 *   stopped    start() was not called yet, or stop() has ended it
 *   waiting    no stream; `timer` starts the next round of attempts
 *   greeting   Hello was sent; `timer` gives the attempt up
 *   refused    Refused came; the status that ends the stream will say why, for people; `timer` ends the wait for it
 *   attached   Welcome came: first the snapshot is written, then deltas
 *   leaving    stop() was called: the last delta is written, then our side is closed; `timer` gives the leader up
 */
type AttachState =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'waiting'; readonly timer: Timer }
  | { readonly kind: 'greeting'; readonly call: Call; readonly timer: Timer }
  | { readonly kind: 'refused'; readonly call: Call; readonly timer: Timer }
  | { readonly kind: 'attached'; readonly call: Call }
  | { readonly kind: 'leaving'; readonly call: Call; readonly timer: Timer; readonly left: () => void };

/**
 * The gateway's end of the Attach stream (architecture.md, "Attach"): finds the leader, sends it a snapshot and
 * then, once a turn of the event loop, what has changed, and hands the leader's commands to the host. While there is no
 * leader it tries for ever and keeps no changes: the next snapshot has them.
 */
export class AttachClient implements Attach {
  /** True once a leader has taken this gateway on; until then the gateway is not ready. */
  attachedOnce = false;
  /** The last refusal since a leader last took this gateway on; null: none. */
  refused: AttachRefusal | null = null;
  /** Highest epoch obeyed so far; 0 for none. */
  epoch = 0;
  readonly #options: AttachClientOptions;
  readonly #deps: AttachClientDependencies;
  readonly #turn: Turn;
  readonly #protocol: ProtocolRule;
  readonly #throttle: Throttle;
  #state: AttachState = { kind: 'stopped' };
  readonly #backoff: Backoff;
  /** Written before any further report: the rest of the snapshot, or of a large delta. */
  #outbox: AttachRequest[] = [];
  #outboxAt = 0;
  #blocked = false;
  /** The snapshot is being cut: nothing is written before it. */
  #isCutting = false;
  /** Counts the deltas that the leader has not taken in yet. */
  readonly #window = new DeltaWindow();
  /** Cuts the snapshot, then obeys commands, in order; a large one takes several turns of the event loop. */
  readonly #work = new WorkList();
  /** The trace step of attaching, open until the snapshot is written; null: none is open. */
  #step: Step | null = null;
  /** `n` of the last Commands of this epoch that were obeyed. */
  #obeyed = 0;
  /** The value of `#obeyed` that the leader was told last. */
  #obeyedTold = 0;
  #obeyedTimer: Timer | null = null;

  constructor(options: AttachClientOptions, deps: AttachClientDependencies) {
    this.#options = options;
    this.#deps = deps;
    this.#backoff = new Backoff({ firstMs: FIRST_BACKOFF_MS, maxMs: MAX_BACKOFF_MS }, deps);
    this.#protocol = deps.protocol ?? new ProtocolRule({}, deps);
    this.#turn = new Turn(() => this.#write());
    this.#throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock: deps.clock });
    deps.reports.onChange = () => this.#turn.request();
  }

  get attached(): boolean {
    return this.#state.kind === 'attached';
  }

  start(): void {
    if (this.#state.kind === 'stopped') this.#beginRound();
  }

  /**
   * The lease names another leader: attaches to that one at once. The former leader may be paused or cut off, and then
   * cannot say that its term is over.
   */
  leaderChanged(): void {
    const state = this.#state;
    this.#backoff.reset();
    if (state.kind === 'waiting') this.#beginRound();
    if (state.kind !== 'greeting' && state.kind !== 'refused' && state.kind !== 'attached') return;
    if (state.call.address === this.#deps.locator.address()) return;
    this.#letGo(state.call);
    this.#deps.logger.info('another topology replica leads');
    this.#beginRound();
  }

  /** Sends the last delta and closes our side. Resolves when the leader has ended its side, or after GOODBYE_MS. */
  async stop(): Promise<void> {
    const state = this.#state;
    this.#obeyedTimer?.cancel();
    this.#obeyedTimer = null;
    if (state.kind === 'attached') {
      const { call } = state;
      const timer = this.#deps.clock.after(GOODBYE_MS, () => this.#lost(call, null));
      const left = Promise.withResolvers<void>();
      this.#become({ kind: 'leaving', call, timer, left: left.resolve });
      this.#write();
      await left.promise;
    } else if (state.kind !== 'leaving') {
      this.#become({ kind: 'stopped' });
      if (state.kind === 'greeting' || state.kind === 'refused') close(state.call);
    }
  }

  #become(state: AttachState): void {
    if ('timer' in this.#state) this.#state.timer.cancel();
    this.#state = state;
  }

  #beginRound(): void {
    this.#deps.locator.again();
    this.#connectToNext();
  }

  /** Connects to the next address of this round; after the last one pauses until the next round. */
  #connectToNext(): void {
    const address = this.#deps.locator.next();
    if (address === null) this.#pause();
    else this.#connect(address);
  }

  #pause(): void {
    const timer = this.#deps.clock.after(this.#backoff.next(), () => this.#beginRound());
    this.#become({ kind: 'waiting', timer });
  }

  #connect(address: string): void {
    const { clock, locator } = this.#deps;
    const { credentials, options } = this.#options.security ?? PLAINTEXT;
    const client = new GatewayControlClient(address, credentials, {
      ...channelOptions,
      ...options,
      // In the shared pool a new channel would take over the reconnect back-off of an earlier one.
      'grpc.use_local_subchannel_pool': 1,
    });
    const stream = client.attach();
    const call: Call = { client, stream, address, intake: new Intake(stream, this.#work) };
    const patience = locator.isNamed(address) || locator.isExhausted ? WELCOME_MS : ANSWER_MS;
    this.#become({ kind: 'greeting', call, timer: clock.after(patience, () => this.#lost(call, null)) });
    stream.on('data', (response: AttachResponse) => this.#guard(call, () => this.#take(call, response)));
    stream.on('drain', () => this.#drained(call));
    stream.on('error', (error: ServiceError) => this.#lost(call, error));
    stream.on('end', () => this.#lost(call, null));
    stream.write({ hello: this.#hello() });
  }

  #hello(): Hello {
    const { identity, gatewaysKnown } = this.#deps.host;
    const { name, boot, version, serviceAddress } = identity;
    return {
      name,
      boot,
      highestEpoch: this.epoch,
      version,
      protocolVersion: this.#protocol.own,
      serviceAddress,
      capabilities: [...CAPABILITIES],
      installation: this.#options.installation,
      gatewaysKnown: [...gatewaysKnown],
    };
  }

  /**
   * An error while a leader's message is handled ends the stream, not the process; the next snapshot corrects the rest.
   */
  #guard(call: Call, run: () => void): void {
    try {
      run();
    } catch (err) {
      this.#failed(call, err);
    }
  }

  #failed(call: Call, err: unknown): void {
    const { log, suppressed } = this.#throttle.admit('failed');
    const { address } = call;
    if (log) this.#deps.logger.error({ err, topology: address, suppressed }, 'a message of topology cannot be obeyed');
    // A leader that sends such a message once may send it again, so the next pause is the longest.
    this.#backoff.skipToLongest();
    this.#lost(call, null);
  }

  #take(call: Call, { welcome, commands, refused, taken }: AttachResponse): void {
    const state = this.#state;
    if ((state.kind !== 'greeting' && state.kind !== 'attached') || state.call !== call) return;
    if (state.kind === 'attached') {
      if (commands !== undefined) call.intake.take(this.#obeying(call, commands));
      const deltas = taken?.deltas ?? commands?.taken;
      // What was obeyed is told with changes, or when its timer is over: it is no reason to write.
      if (deltas !== undefined && this.#window.taken(deltas) && this.#hasChanges) this.#write();
    } else if (welcome !== undefined) this.#welcomed(call, welcome);
    else if (refused !== undefined) this.#refusedBy(call, refused);
  }

  #welcomed(call: Call, welcome: Welcome): void {
    const { host, locator, reports, logger } = this.#deps;
    if (welcome.epoch < this.epoch) {
      // A leader must raise its epoch to that of Hello before it says Welcome: this one is not obeyed.
      this.#lost(call, null);
      return;
    }
    const who = `the topology leader at ${call.address} (${welcome.version})`;
    const agreement = this.#protocol.check(welcome.protocolVersion, { role: 'leader', who });
    if (agreement.kind === 'refused') {
      this.refused = explain(RefusalReason.REFUSAL_REASON_VERSION, call.address);
      this.#lost(call, null);
      return;
    }
    if (welcome.epoch > this.epoch) this.#obeyed = 0;
    this.epoch = welcome.epoch;
    this.attachedOnce = true;
    this.refused = null;
    this.#backoff.reset();
    this.#become({ kind: 'attached', call });
    locator.leads(call.address, welcome.replicas);
    // In one turn of the event loop: earlier changes are in the snapshot, later ones in the reports.
    host.welcomed(welcome.epoch, welcome.rnssAdd);
    this.#step = this.#begun(call, welcome);
    this.#isCutting = true;
    const { lastNumber } = host;
    const snapshot = host.snapshot();
    reports.begin();
    const { epoch, version: leader } = welcome;
    logger.info({ epoch, leader, protocol: agreement.version }, 'attached to topology');
    // First in the work list: commands wait until the snapshot is cut.
    this.#work.run(this.#cutting(call, welcome, snapshot, lastNumber));
  }

  /** `lastNumber`: the highest number that was given to anything when the snapshot began. */
  *#cutting(call: Call, welcome: Welcome, snapshot: Job<StateChange[]>, lastNumber: number): Job<void> {
    let parts: StateChange[];
    try {
      parts = yield* snapshot;
    } catch (err) {
      this.#failed(call, err);
      return;
    }
    this.#isCutting = false;
    this.#deps.reports.cut();
    this.#outbox = this.#finished(parts, lastNumber).map((part) => ({ snapshot: part }));
    this.#outbox.push({ snapshotEnd: {} });
    this.#outboxAt = 0;
    this.#blocked = false;
    this.#window.begin(welcome.tellsTaken);
    this.#write();
  }

  /** Begins the trace step of attaching, under the leader's trace if Welcome has one; null: tracing is off. */
  #begun({ address }: Call, { epoch, trace }: Welcome): Step | null {
    const { tracing = NO_TRACING, host } = this.#deps;
    if (tracing.tracer === null) return null;
    const attributes = {
      'spanmesh.gateway': gatewayId(host.identity),
      'spanmesh.leader': address,
      'spanmesh.epoch': epoch,
    };
    return tracing.tracer.begin('gateway attaches', { parent: readTraceContext(trace), attributes });
  }

  #refusedBy(call: Call, { reason, leaderAddress }: Refused): void {
    const { host, locator, clock } = this.#deps;
    if (reason === RefusalReason.REFUSAL_REASON_NOT_LEADER) {
      locator.doesNotLead(leaderAddress);
      this.#letGo(call);
      this.#connectToNext();
      return;
    }
    this.refused = explain(reason, call.address);
    if (reason === RefusalReason.REFUSAL_REASON_DECLARED_DEAD) {
      this.#letGo(call);
      host.declaredDead();
      // The commands obeyed so far were for the former boot id.
      this.#obeyed = 0;
      this.#backoff.reset();
      this.#connectToNext();
      return;
    }
    this.#become({ kind: 'refused', call, timer: clock.after(STATUS_MS, () => this.#lost(call, null)) });
  }

  *#obeying(call: Call, commands: Commands): Job<void> {
    // From a leader whose term is over (architecture.md, "Lease"): not obeyed.
    if (commands.epoch !== this.epoch) return;
    try {
      if (commands.replicas.length > 0) this.#deps.locator.knows(commands.replicas);
      yield* this.#deps.host.applying(commands);
    } catch (err) {
      this.#failed(call, err);
      return;
    }
    this.#obeyed = commands.n;
    this.#obeyedTimer ??= this.#deps.clock.after(OBEYED_MS, () => {
      this.#obeyedTimer = null;
      this.#turn.request();
    });
  }

  /** Changes wait, cut into deltas already or not. */
  get #hasChanges(): boolean {
    return this.#outboxAt < this.#outbox.length || this.#deps.reports.bytes > 0;
  }

  #drained(call: Call): void {
    const state = this.#state;
    if ((state.kind !== 'attached' && state.kind !== 'leaving') || state.call !== call) return;
    this.#blocked = false;
    this.#write();
  }

  /** Writes as much as the stream takes. Changes that must wait stay in the reports, where later ones join them. */
  #write(): void {
    const state = this.#state;
    if (this.#isCutting) return;
    if (state.kind !== 'attached' && state.kind !== 'leaving') return;
    const { reports, logger, host } = this.#deps;
    const { stream } = state.call;
    for (;;) {
      while (this.#outboxAt < this.#outbox.length && !this.#blocked) {
        const request = this.#outbox[this.#outboxAt];
        if (request === undefined) break;
        // A gateway that leaves does not heed the window: no other delta waits behind its last ones.
        if (state.kind === 'attached' && request.delta !== undefined && this.#window.isFull) break;
        this.#outboxAt++;
        if (request.delta !== undefined) this.#window.sent();
        this.#blocked = !stream.write(request);
      }
      if (this.#outboxAt < this.#outbox.length || this.#blocked) break;
      this.#step?.end();
      this.#step = null;
      this.#outbox = [];
      this.#outboxAt = 0;
      if (reports.bytes === 0 && this.#obeyed === this.#obeyedTold) {
        if (state.kind === 'leaving') stream.end();
        return;
      }
      this.#outbox = this.#finished(reports.take(DELTA_BYTES), host.lastNumber).map((delta) => ({ delta }));
    }
    if (state.kind === 'attached' && reports.bytes > MAX_PENDING_BYTES) {
      logger.warn('topology does not read: attaching anew');
      this.#lost(state.call, null);
    }
  }

  /** Puts `obeyed` and `last_number` into the last of the parts: they hold for all parts that were cut together. */
  #finished(parts: StateChange[], lastNumber: number): StateChange[] {
    const last = parts.pop() ?? StateChange.create();
    last.obeyed = this.#obeyed;
    last.lastNumber = lastNumber;
    this.#obeyedTold = this.#obeyed;
    return [...parts, last];
  }

  /** The stream has ended, or is given up. */
  #lost(call: Call, error: ServiceError | null): void {
    const state = this.#state;
    if (state.kind === 'stopped' || state.kind === 'waiting' || state.call !== call) return;
    this.#letGo(call);
    if (state.kind === 'leaving') {
      this.#become({ kind: 'stopped' });
      state.left();
      return;
    }
    if (state.kind === 'refused' && this.refused !== null) this.#logRefusal(this.refused, error);
    else this.#logLoss(call, error);
    // A leader that has taken the gateway on and lost it again is not asked at once.
    if (state.kind === 'attached') this.#pause();
    else this.#connectToNext();
  }

  #logLoss({ address }: Call, error: ServiceError | null): void {
    const code = error === null ? 'none' : status[error.code];
    const { log, suppressed } = this.#throttle.admit(code);
    if (!log) return;
    const level = error === null || EXPECTED.has(error.code) ? 'info' : 'warn';
    const line = { topology: address, code, details: error?.details, suppressed };
    this.#deps.logger[level](line, 'not attached to topology');
  }

  /** The text of the status says more than the reason: which versions, which name. */
  #logRefusal(refusal: AttachRefusal, error: ServiceError | null): void {
    this.refused = { ...refusal, why: error?.details || refusal.why };
    const { reason, by, why, advice } = this.refused;
    const { log, suppressed } = this.#throttle.admit(`refused ${reason}`);
    if (!log) return;
    const code = error === null ? 'none' : status[error.code];
    const line = { topology: by, code, details: why, refusal: refusalReasonToJSON(reason), advice, suppressed };
    this.#deps.logger.warn(line, 'not attached to topology');
  }

  #letGo(call: Call): void {
    close(call);
    // Commands not obeyed yet are dropped as if they had not come: the next snapshot says which were obeyed.
    this.#work.clear();
    this.#isCutting = false;
    this.#step?.end('the stream has ended');
    this.#step = null;
    this.#outbox = [];
    this.#outboxAt = 0;
    this.#blocked = false;
    this.#deps.reports.end();
  }
}

/** Ends a call: no further message of its stream is handled. */
function close({ client, stream }: Call): void {
  stream.removeAllListeners('data');
  stream.cancel();
  client.close();
}
