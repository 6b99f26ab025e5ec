import { type ClientDuplexStream, type ServiceError, status } from '@grpc/grpc-js';
import {
  type AttachRequest,
  type AttachResponse,
  type Commands,
  GatewayControlClient,
  StateChange,
  type Welcome,
} from '@spanmesh/proto/v1/gateway_control';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { channelOptions, PLAINTEXT } from '@spanmesh/runtime/grpc-client';
import { type Logger, Throttle } from '@spanmesh/runtime/logger';
import { ProtocolRule } from '@spanmesh/runtime/protocol-version';
import type { Random } from '@spanmesh/runtime/random';
import type { ChannelSecurity } from '@spanmesh/runtime/tls-credentials';
import { Turn } from '@spanmesh/runtime/turn';
import type { Attach } from './attach.ts';
import type { AttachHost, GatewayIdentity } from './gateway-service.ts';
import { inParts, sizeOf } from './state-change-parts.ts';

/** gateway_control.proto, Hello: what this gateway can do beyond that version of the protocol. */
const CAPABILITIES: readonly string[] = ['drain'];
/** Pauses between attempts: doubled each time, each shortened by up to half at random. */
export const FIRST_BACKOFF_MS = 100;
export const MAX_BACKOFF_MS = 5000;
/** How long a leader may take to say Welcome; it may have to raise its epoch first. */
export const WELCOME_MS = 10_000;
/** Largest part of a snapshot or delta in bytes (gateway_control.proto: at most 1 MiB). */
export const PART_BYTES = 960 * 1024;
/** Bytes (estimated) of changes that wait for a leader that does not read; past this a snapshot is cheaper. */
export const MAX_PENDING_BYTES = 32 * 1024 * 1024;
/** How long a leader waits to hear that its commands were obeyed, when there is nothing else to tell. */
export const OBEYED_MS = 200;
/** How long a last delta may take to be taken in. */
export const GOODBYE_MS = 2000;
/** The same trouble is logged once in this time. */
const LOG_INTERVAL_MS = 10_000;
/** Why a lost stream is the way of things and not worth a warning: the leader stops or changes. */
const EXPECTED = new Set<status>([status.FAILED_PRECONDITION, status.ABORTED, status.CANCELLED]);

export interface AttachClientOptions {
  readonly identity: GatewayIdentity;
  /** `host:port` of the leader as far as it is known; asked anew for each attempt. */
  readonly address: () => string | null;
  /** Of the way to the leader; plaintext unless given. */
  readonly security?: ChannelSecurity;
}

type Stream = ClientDuplexStream<AttachRequest, AttachResponse>;

/** A stream with the channel that it runs on. Each attempt has its own, so that names are looked up afresh. */
interface Call {
  readonly client: GatewayControlClient;
  readonly stream: Stream;
  readonly address: string;
}

/**
 * Where the way to the leader stands.
 *   stopped    start() was not called yet, or stop() has ended it
 *   waiting    no stream; `timer` starts the next attempt
 *   greeting   Hello was sent; `timer` gives it up
 *   attached   Welcome came: first the snapshot is written, then deltas
 *   leaving    stop() was called: the last delta is on its way, the stream is half-closed
 */
type AttachState =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'waiting'; readonly timer: Timer }
  | { readonly kind: 'greeting'; readonly call: Call; readonly timer: Timer }
  | { readonly kind: 'attached'; readonly call: Call }
  | { readonly kind: 'leaving'; readonly call: Call; readonly left: () => void };

/**
 * The gateway's end of the Attach stream (architecture.md, "Attach"): finds the leader, tells it what is open and then
 * what changes, once a turn, and hands on its commands. Without a leader it tries for ever; changes are not kept then, the
 * next snapshot has them.
 */
export class AttachClient implements Attach {
  /** What has changed since the last message. Another object after each flush: read it anew for every change. */
  delta: StateChange = StateChange.create();
  /** A leader has taken this gateway on once: what readiness needs. */
  attachedOnce = false;
  /** Highest epoch obeyed so far; 0 for none. */
  epoch = 0;
  readonly #options: AttachClientOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #host: AttachHost;
  readonly #random: Random;
  readonly #turn: Turn;
  readonly #protocol: ProtocolRule;
  readonly #throttle: Throttle;
  #state: AttachState = { kind: 'stopped' };
  #backoff = FIRST_BACKOFF_MS;
  /** What waits to be written before the delta: the rest of the snapshot, parts of a large delta. */
  #outbox: AttachRequest[] = [];
  #outboxAt = 0;
  #blocked = false;
  /** `n` of the last commands of this epoch that were obeyed, and the last that the leader was told of. */
  #obeyed = 0;
  #obeyedTold = 0;
  #obeyedTimer: Timer | undefined;

  constructor(
    options: AttachClientOptions,
    deps: { clock: Clock; logger: Logger; host: AttachHost; random: Random; protocol?: ProtocolRule },
  ) {
    this.#options = options;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#host = deps.host;
    this.#random = deps.random;
    this.#protocol = deps.protocol ?? new ProtocolRule({}, deps);
    this.#turn = new Turn(() => this.#flush());
    this.#throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock: deps.clock });
  }

  /** True while a leader has this gateway. */
  get attached(): boolean {
    return this.#state.kind === 'attached';
  }

  /** `delta` has changed: it goes out at the end of this turn. */
  touch(): void {
    this.#turn.request();
  }

  start(): void {
    if (this.#state.kind === 'stopped') this.#connect();
  }

  /**
   * Another leads: attaches there at once. Whom it is attached to may be paused or cut off, and would not say that it does not
   * lead any more; its commands are of a lower epoch.
   */
  leaderChanged(): void {
    const state = this.#state;
    this.#backoff = FIRST_BACKOFF_MS;
    if (state.kind === 'waiting') {
      state.timer.cancel();
      this.#connect();
    } else if (state.kind === 'greeting' || state.kind === 'attached') {
      if (state.call.address === this.#options.address()) return;
      if (state.kind === 'greeting') state.timer.cancel();
      this.#letGo(state.call);
      this.#logger.info('another topology replica leads');
      this.#connect();
    }
  }

  /** Says what is left to say, then goodbye. Resolves when the leader has taken it in, or has taken too long. */
  async stop(): Promise<void> {
    const state = this.#state;
    this.#obeyedTimer?.cancel();
    if (state.kind === 'attached') {
      const left = new Promise<void>((resolve) => {
        this.#state = { kind: 'leaving', call: state.call, left: resolve };
      });
      const timer = this.#clock.after(GOODBYE_MS, () => this.#lost(state.call, null));
      this.#write();
      await left;
      timer.cancel();
    } else if (state.kind !== 'leaving') {
      if (state.kind !== 'stopped') state.timer.cancel();
      this.#state = { kind: 'stopped' };
      if (state.kind === 'greeting') close(state.call);
    }
  }

  #connect(): void {
    const address = this.#options.address();
    if (address === null) {
      this.#retry();
      return;
    }
    const { credentials, options } = this.#options.security ?? PLAINTEXT;
    const client = new GatewayControlClient(address, credentials, {
      ...channelOptions,
      ...options,
      // Otherwise a pause that an earlier channel has to keep would be this one's, too.
      'grpc.use_local_subchannel_pool': 1,
    });
    const stream = client.attach();
    const call: Call = { client, stream, address };
    const timer = this.#clock.after(WELCOME_MS, () => this.#lost(call, null));
    this.#state = { kind: 'greeting', call, timer };
    stream.on('data', (response: AttachResponse) => this.#take(call, response));
    stream.on('drain', () => this.#drained(call));
    stream.on('error', (error: ServiceError) => this.#lost(call, error));
    stream.on('end', () => this.#lost(call, null));
    const { name, boot, version, serviceAddress } = this.#options.identity;
    const known = { highestEpoch: this.epoch, protocolVersion: this.#protocol.own, capabilities: [...CAPABILITIES] };
    stream.write({ hello: { name, boot, version, serviceAddress, ...known } });
  }

  #take(call: Call, { welcome, commands }: AttachResponse): void {
    const state = this.#state;
    if (state.kind !== 'greeting' && state.kind !== 'attached') return;
    if (state.call !== call) return;
    if (welcome !== undefined && state.kind === 'greeting') this.#welcomed(state, welcome);
    else if (commands !== undefined && state.kind === 'attached') this.#obey(commands);
  }

  #welcomed({ call, timer }: { readonly call: Call; readonly timer: Timer }, welcome: Welcome): void {
    if (welcome.epoch < this.epoch) {
      // It should have gone above what Hello said: not one to obey.
      this.#lost(call, null);
      return;
    }
    const who = `the topology leader at ${call.address} (${welcome.version})`;
    const agreement = this.#protocol.check(welcome.protocolVersion, { role: 'leader', who });
    if (agreement.kind === 'refused') {
      this.#lost(call, null);
      return;
    }
    timer.cancel();
    if (welcome.epoch > this.epoch) this.#obeyed = 0;
    this.epoch = welcome.epoch;
    this.attachedOnce = true;
    this.#backoff = FIRST_BACKOFF_MS;
    this.#state = { kind: 'attached', call };
    this.#blocked = false;
    // In one turn: what changes from here on is in the deltas, all before is in the snapshot.
    this.#host.welcomed(welcome.epoch, welcome.rnssAdd);
    const parts = [...inParts(this.#host.snapshot(), PART_BYTES)];
    this.delta = StateChange.create();
    const last = StateChange.create();
    last.obeyed = this.#obeyed;
    last.lastNumber = this.#host.lastNumber;
    this.#obeyedTold = this.#obeyed;
    this.#outbox = [...parts, last].map((snapshot) => ({ snapshot }));
    this.#outbox.push({ snapshotEnd: {} });
    this.#outboxAt = 0;
    const { epoch, version: leader } = welcome;
    this.#logger.info({ epoch, leader, protocol: agreement.version, parts: parts.length }, 'attached to topology');
    this.#write();
  }

  #obey(commands: Commands): void {
    // A leader whose time is over (architecture.md, "Lease").
    if (commands.epoch !== this.epoch) return;
    this.#host.apply(commands);
    this.#obeyed = commands.n;
    if (this.#obeyedTimer !== undefined) return;
    this.#obeyedTimer = this.#clock.after(OBEYED_MS, () => {
      this.#obeyedTimer = undefined;
      this.touch();
    });
  }

  #flush(): void {
    if (this.#state.kind === 'attached') this.#write();
    else if (this.#state.kind !== 'leaving') this.delta = StateChange.create();
  }

  #drained(call: Call): void {
    const state = this.#state;
    if ((state.kind !== 'attached' && state.kind !== 'leaving') || state.call !== call) return;
    this.#blocked = false;
    this.#write();
  }

  /** Writes as much as the stream takes. What does not go now is merged with what comes. */
  #write(): void {
    const state = this.#state;
    if (state.kind !== 'attached' && state.kind !== 'leaving') return;
    const { stream } = state.call;
    for (;;) {
      while (this.#outboxAt < this.#outbox.length && !this.#blocked) {
        this.#blocked = !stream.write(this.#outbox[this.#outboxAt++]!);
      }
      if (this.#blocked) break;
      this.#outbox = [];
      this.#outboxAt = 0;
      const bytes = sizeOf(this.delta);
      if (bytes === 0 && this.#obeyed === this.#obeyedTold) {
        if (state.kind === 'leaving') stream.end();
        return;
      }
      this.#enqueueDelta(bytes);
    }
    if (state.kind === 'attached' && sizeOf(this.delta) > MAX_PENDING_BYTES) {
      this.#logger.warn('topology does not read: attaching anew');
      this.#lost(state.call, null);
    }
  }

  #enqueueDelta(bytes: number): void {
    const { delta } = this;
    this.delta = StateChange.create();
    const parts = bytes > PART_BYTES ? [...inParts([delta], PART_BYTES)] : [delta];
    // Said last: whatever was refused before the commands were obeyed has been told by then.
    const last = parts[parts.length - 1]!;
    last.obeyed = this.#obeyed;
    last.lastNumber = this.#host.lastNumber;
    this.#obeyedTold = this.#obeyed;
    this.#outbox = parts.map((part) => ({ delta: part }));
  }

  /** The stream is over, or is given up. */
  #lost(call: Call, error: ServiceError | null): void {
    const state = this.#state;
    if (state.kind === 'stopped' || state.kind === 'waiting' || state.call !== call) return;
    this.#letGo(call);
    if (state.kind === 'leaving') {
      this.#state = { kind: 'stopped' };
      state.left();
      return;
    }
    if (state.kind === 'greeting') state.timer.cancel();
    const code = error === null ? 'none' : status[error.code];
    const { log, suppressed } = this.#throttle.admit(code);
    if (log) {
      const level = error === null || EXPECTED.has(error.code) ? 'info' : 'warn';
      const { address } = call;
      this.#logger[level]({ topology: address, code, details: error?.details, suppressed }, 'not attached to topology');
    }
    this.#retry();
  }

  #letGo(call: Call): void {
    close(call);
    this.#outbox = [];
    this.#outboxAt = 0;
    this.#blocked = false;
    this.delta = StateChange.create();
  }

  #retry(): void {
    const pause = this.#backoff * (1 - this.#random() / 2);
    this.#backoff = Math.min(this.#backoff * 2, MAX_BACKOFF_MS);
    this.#state = { kind: 'waiting', timer: this.#clock.after(pause, () => this.#connect()) };
  }
}

/** Ends a call for good: nothing of it is heard any more. */
function close({ client, stream }: Call): void {
  stream.removeAllListeners('data');
  stream.cancel();
  client.close();
}
