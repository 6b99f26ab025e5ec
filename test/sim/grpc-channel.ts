import { connectivityState, type Metadata, Metadata as MetadataClass, status } from '@grpc/grpc-js';
import type {
  Call,
  InterceptingListener,
  MessageContext,
  StatusObject,
} from '@grpc/grpc-js/build/src/call-interface.js';
import type { Channel } from '@grpc/grpc-js/build/src/channel.js';
import type { Deadline } from '@grpc/grpc-js/build/src/deadline.js';
import type { Timer } from '@spanmesh/runtime/clock';
import type { SimProcess } from './kernel.ts';
import type { Connected, End, Network } from './network.ts';

/** Most bytes that may be sent and not read yet on one stream: HTTP/2's window. */
export const STREAM_WINDOW_BYTES = 64 * 1024;
/**
 * A connection on which nothing came for this long is probed, and given up if nothing comes for as long again
 * (grpc-channel.ts of libs/runtime).
 */
export const KEEPALIVE_MS = 5000;
const FIRST_BACKOFF_MS = 200;
const MAX_BACKOFF_MS = 2000;

/**
 * The frames on a connection between a channel and a server. Each belongs to a stream, except `ping` and `pong`, which
 * belong to the connection.
 */
export type GrpcFrame =
  | { readonly kind: 'headers'; readonly stream: number; readonly method: string; readonly metadata: Metadata }
  | { readonly kind: 'answered'; readonly stream: number; readonly metadata: Metadata }
  | { readonly kind: 'message'; readonly stream: number; readonly bytes: Buffer }
  | { readonly kind: 'half-close' | 'cancel' | 'credit'; readonly stream: number; readonly bytes?: number }
  | { readonly kind: 'status'; readonly stream: number; readonly status: StatusObject }
  | { readonly kind: 'ping' | 'pong' };

/** Sends the messages of one stream in one direction, keeping to the window of the other side. */
export class Outflow {
  readonly #send: (bytes: Buffer) => void;
  readonly #queue: { readonly bytes: Buffer; readonly done: () => void }[] = [];
  #out = 0;
  #onceEmpty: (() => void)[] = [];

  constructor(send: (bytes: Buffer) => void) {
    this.#send = send;
  }

  write(bytes: Buffer, done: () => void): void {
    this.#queue.push({ bytes, done });
    this.#pump();
  }

  /** Calls `fn` once all messages queued before are sent. */
  after(fn: () => void): void {
    if (this.#queue.length === 0) fn();
    else this.#onceEmpty.push(fn);
  }

  credit(bytes: number): void {
    this.#out -= bytes;
    this.#pump();
  }

  #pump(): void {
    while (this.#queue.length > 0 && this.#out < STREAM_WINDOW_BYTES) {
      const { bytes, done } = this.#queue.shift()!;
      this.#out += bytes.length;
      this.#send(bytes);
      process.nextTick(done);
    }
    if (this.#queue.length > 0) return;
    const then = this.#onceEmpty;
    this.#onceEmpty = [];
    for (const fn of then) fn();
  }
}

/**
 * Watches a connection: calls `probe` when nothing came for a while, and `dead` when nothing came after that either.
 */
export class Keepalive {
  readonly #process: SimProcess;
  readonly #probe: () => void;
  readonly #dead: () => void;
  #heardAt: number;
  #probedAt: number | null = null;
  #timer: Timer | null = null;

  constructor(process: SimProcess, probe: () => void, dead: () => void) {
    this.#process = process;
    this.#probe = probe;
    this.#dead = dead;
    this.#heardAt = process.monotonic();
    this.#arm(KEEPALIVE_MS);
  }

  heard(): void {
    this.#heardAt = this.#process.monotonic();
    this.#probedAt = null;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #arm(ms: number): void {
    this.#timer = this.#process.clock.after(ms, () => this.#look());
  }

  #look(): void {
    const now = this.#process.monotonic();
    if (this.#probedAt !== null) {
      if (now - this.#probedAt >= KEEPALIVE_MS - 1) {
        this.#dead();
        return;
      }
      this.#arm(KEEPALIVE_MS - (now - this.#probedAt));
      return;
    }
    const quiet = now - this.#heardAt;
    if (quiet < KEEPALIVE_MS - 1) {
      this.#arm(KEEPALIVE_MS - quiet);
      return;
    }
    this.#probedAt = now;
    this.#probe();
    this.#arm(KEEPALIVE_MS);
  }
}

/** grpc-js's Channel over the simulated network. Everything above it in a client is grpc-js's own code. */
export class SimChannel implements Channel {
  readonly process: SimProcess;
  readonly #network: Network;
  readonly #host: string;
  readonly #port: number;
  readonly #calls = new Map<number, SimCall>();
  readonly #starting = new Set<SimCall>();
  #state: 'idle' | 'connecting' | 'ready' | 'failed' | 'closed' = 'idle';
  #end: End | null = null;
  #keepalive: Keepalive | null = null;
  #backoff = FIRST_BACKOFF_MS;
  #streams = 1;

  constructor(network: Network, process: SimProcess, address: string) {
    this.#network = network;
    this.process = process;
    const colon = address.lastIndexOf(':');
    this.#host = address.slice(0, colon);
    this.#port = Number(address.slice(colon + 1));
  }

  get target(): string {
    return `${this.#host}:${this.#port}`;
  }

  createCall(method: string, deadline: Deadline): Call {
    return new SimCall(this, method, deadline);
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    for (const call of [...this.#starting, ...this.#calls.values()]) {
      call.failed(status.UNAVAILABLE, 'Channel closed before call started');
    }
    this.#starting.clear();
    this.#letGo();
  }

  getTarget(): string {
    return this.target;
  }

  getConnectivityState(): connectivityState {
    return this.#state === 'ready' ? connectivityState.READY : connectivityState.IDLE;
  }

  watchConnectivityState(): void {
    throw new Error('nobody watches channels');
  }

  getChannelzRef(): never {
    throw new Error('there is no channelz here');
  }

  /** Gives the call a stream once there is a connection. */
  start(call: SimCall): void {
    switch (this.#state) {
      case 'ready':
        this.#begin(call);
        return;
      case 'idle':
        this.#starting.add(call);
        this.#connect();
        return;
      case 'connecting':
        this.#starting.add(call);
        return;
      case 'failed':
        call.failed(status.UNAVAILABLE, `No connection established: ${this.target}`);
        return;
      case 'closed':
        call.failed(status.CANCELLED, 'Channel closed');
    }
  }

  send(frame: GrpcFrame): void {
    this.#end?.send(frame, frame.kind === 'message' ? frame.bytes : frame.kind);
  }

  ended(call: SimCall): void {
    this.#starting.delete(call);
    if (call.stream !== 0) this.#calls.delete(call.stream);
  }

  #connect(): void {
    this.#state = 'connecting';
    this.#network.connect(
      this.process,
      this.#host,
      this.#port,
      (how) => this.#connected(how),
      () => this.#state !== 'connecting',
    );
  }

  #connected(how: Connected): void {
    if (how.kind !== 'connected') {
      this.#failed(`connect ${how.kind} ${this.target}`);
      return;
    }
    const { end } = how;
    this.#end = end;
    this.#state = 'ready';
    this.#backoff = FIRST_BACKOFF_MS;
    end.receive = (item) => this.#receive(item as GrpcFrame);
    end.lost = () => this.#lost('Connection dropped');
    this.#keepalive = new Keepalive(
      this.process,
      () => this.send({ kind: 'ping' }),
      () => {
        end.reset();
        this.#lost('Connection dropped: keepalive');
      },
    );
    const starting = [...this.#starting];
    this.#starting.clear();
    for (const call of starting) this.#begin(call);
  }

  #begin(call: SimCall): void {
    const stream = this.#streams;
    this.#streams += 2;
    this.#calls.set(stream, call);
    call.begin(stream);
  }

  #receive(frame: GrpcFrame): void {
    this.#keepalive?.heard();
    if (frame.kind === 'ping') this.send({ kind: 'pong' });
    else if ('stream' in frame) this.#calls.get(frame.stream)?.receive(frame);
  }

  #lost(why: string): void {
    if (this.#state !== 'ready') return;
    this.#letGo();
    this.#state = 'idle';
    for (const call of [...this.#calls.values()]) call.failed(status.UNAVAILABLE, why);
    this.#calls.clear();
  }

  #failed(why: string): void {
    this.#state = 'failed';
    const pause = this.#backoff * (0.8 + 0.4 * this.process.chance());
    this.#backoff = Math.min(MAX_BACKOFF_MS, this.#backoff * 1.6);
    this.process.clock.after(pause, () => {
      if (this.#state === 'failed') this.#connect();
    });
    const starting = [...this.#starting];
    this.#starting.clear();
    for (const call of starting) call.failed(status.UNAVAILABLE, `No connection established: ${why}`);
  }

  #letGo(): void {
    this.#keepalive?.stop();
    this.#keepalive = null;
    this.#end?.reset();
    this.#end = null;
  }
}

/** A call on a SimChannel. */
class SimCall implements Call {
  stream = 0;
  readonly #channel: SimChannel;
  readonly #method: string;
  readonly #outflow: Outflow;
  readonly #inbox: Buffer[] = [];
  #listener: InterceptingListener | null = null;
  #metadata: Metadata = new MetadataClass();
  #deadline: Timer | null = null;
  #before: (() => void)[] = [];
  #reads = 0;
  #status: StatusObject | null = null;
  #isOver = false;

  constructor(channel: SimChannel, method: string, deadline: Deadline) {
    this.#channel = channel;
    this.#method = method;
    this.#outflow = new Outflow((bytes) => channel.send({ kind: 'message', stream: this.stream, bytes }));
    const at = Number(deadline);
    if (Number.isFinite(at)) {
      const left = Math.max(0, at - channel.process.wall());
      this.#deadline = channel.process.clock.after(left, () =>
        this.cancelWithStatus(status.DEADLINE_EXCEEDED, 'Deadline exceeded'),
      );
    }
  }

  start(metadata: Metadata, listener: InterceptingListener): void {
    this.#metadata = metadata;
    this.#listener = listener;
    // In a later tick: within `start` the caller is not ready for the answer.
    process.nextTick(() => {
      if (!this.#isOver) this.#channel.start(this);
    });
  }

  sendMessageWithContext({ callback }: MessageContext, message: Buffer): void {
    this.#once(() => this.#outflow.write(message, () => callback?.()));
  }

  startRead(): void {
    this.#reads++;
    this.#give();
  }

  halfClose(): void {
    this.#once(() => this.#outflow.after(() => this.#channel.send({ kind: 'half-close', stream: this.stream })));
  }

  cancelWithStatus(code: status, details: string): void {
    if (this.#isOver) return;
    if (this.stream !== 0) this.#channel.send({ kind: 'cancel', stream: this.stream });
    this.#finish({ code, details, metadata: new MetadataClass() });
  }

  getPeer(): string {
    return this.#channel.target;
  }

  getCallNumber(): number {
    return this.stream;
  }

  setCredentials(): void {}

  getAuthContext(): null {
    return null;
  }

  begin(stream: number): void {
    this.stream = stream;
    this.#channel.send({ kind: 'headers', stream, method: this.#method, metadata: this.#metadata.clone() });
    const before = this.#before;
    this.#before = [];
    for (const fn of before) fn();
  }

  receive(frame: GrpcFrame): void {
    if (this.#isOver) return;
    switch (frame.kind) {
      case 'answered':
        this.#listener?.onReceiveMetadata(frame.metadata);
        return;
      case 'message':
        this.#inbox.push(frame.bytes);
        this.#give();
        return;
      case 'credit':
        this.#outflow.credit(frame.bytes ?? 0);
        return;
      case 'status':
        this.#status = frame.status;
        if (frame.status.code !== status.OK) this.#finish(frame.status);
        else this.#give();
    }
  }

  failed(code: status, details: string): void {
    this.#finish({ code, details, metadata: new MetadataClass() });
  }

  #once(fn: () => void): void {
    if (this.#isOver) return;
    if (this.stream === 0) this.#before.push(fn);
    else fn();
  }

  #give(): void {
    while (this.#reads > 0 && this.#inbox.length > 0 && !this.#isOver) {
      this.#reads--;
      const bytes = this.#inbox.shift()!;
      this.#channel.send({ kind: 'credit', stream: this.stream, bytes: bytes.length });
      this.#listener?.onReceiveMessage(bytes);
    }
    if (this.#status !== null && this.#inbox.length === 0) this.#finish(this.#status);
  }

  #finish(how: StatusObject): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#deadline?.cancel();
    this.#before = [];
    this.#channel.ended(this);
    process.nextTick(() => this.#listener?.onReceiveStatus(how));
  }
}
