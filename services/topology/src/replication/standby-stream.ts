import { status } from '@grpc/grpc-js';
import type { FollowAck, FollowHello, FollowRequest } from '@spanmesh/proto/v1/replication';
import { Turn } from '@spanmesh/runtime/turn';

/**
 * Bytes of changes queued for a standby that does not read. Beyond it its stream is ended: a new snapshot is smaller.
 */
export const MAX_STANDBY_BYTES = 32 * 1024 * 1024;

/** Bytes of the snapshot that are made in one turn of the event loop; the last message may exceed it. */
export const SNAPSHOT_TURN_BYTES = 384 * 1024;

/** The part of the leader's side of the gRPC stream that is used here. Messages are encoded already. */
export interface FollowStream {
  write(message: Buffer): boolean;
  end(): void;
  on(event: 'data', fn: (request: FollowRequest) => void): unknown;
  on(event: 'end' | 'cancelled' | 'drain', fn: () => void): unknown;
  on(event: 'error', fn: (error: Error) => void): unknown;
  emit(event: 'error', error: Error): boolean;
}

/**
 * State of a standby's stream.
 *   greeting    opened, no Hello yet
 *   waiting     Hello came; the leader has not heard its gateways yet: heartbeats only
 *   following   the snapshot is on its way or has arrived: changes follow
 *   ended       by either side
 */
export type StandbyState = 'greeting' | 'waiting' | 'following' | 'ended';

/** The leader's side of the streams, which decides about standbys. */
export interface StandbyHost {
  hello(standby: StandbyStream, hello: FollowHello): void;
  /** More bytes are queued than MAX_STANDBY_BYTES: the standby does not read. */
  overflow(standby: StandbyStream): void;
  ended(standby: StandbyStream): void;
  /** The snapshot cannot be encoded: the host must end the stream. */
  untold(standby: StandbyStream, error: unknown): void;
}

/** The leader's end of the stream of one standby: its queue of messages, and the standby's last acknowledgement. */
export class StandbyStream {
  acknowledged: FollowAck | undefined;
  #hello: FollowHello | undefined;
  #state: StandbyState = 'greeting';
  readonly #stream: FollowStream;
  readonly #host: StandbyHost;
  /** The rest of the snapshot; null: all of it has been written. */
  #snapshot: Iterator<Buffer> | null = null;
  /** This turn's share of the snapshot has been made. */
  #isResting = false;
  readonly #next = new Turn(() => {
    this.#isResting = false;
    this.#pump();
  });
  #queue: Buffer[] = [];
  #bytes = 0;
  #blocked = false;

  constructor(stream: FollowStream, host: StandbyHost) {
    this.#stream = stream;
    this.#host = host;
    stream.on('data', (request) => this.#take(request));
    stream.on('drain', () => {
      this.#blocked = false;
      this.#pump();
    });
    stream.on('end', () => this.#over());
    stream.on('cancelled', () => this.#over());
    stream.on('error', () => this.#over());
  }

  get state(): StandbyState {
    return this.#state;
  }

  /** Set when Hello was accepted. */
  get hello(): FollowHello | undefined {
    return this.#hello;
  }

  /** Bytes of changes that are queued. */
  get queuedBytes(): number {
    return this.#bytes;
  }

  /** The host accepts the standby. */
  accept(hello: FollowHello): void {
    this.#hello = hello;
    this.#become('waiting');
  }

  /**
   * Sends the snapshot, whose messages are asked for one by one: some in each turn of the event loop, and only while
   * the standby reads. If the stream ends before, the iterator is closed. Changes that are sent from now on come after
   * the snapshot.
   */
  begin(snapshot: Iterator<Buffer>): void {
    if (this.#state !== 'waiting') return;
    this.#become('following');
    this.#snapshot = snapshot;
    // Even a stream that is full takes the first message: the snapshot is of the moment in which that is asked for, and
    // changes from now on are queued.
    this.#blocked = false;
    this.#pump();
  }

  send(message: Buffer): void {
    if (this.#state === 'ended') return;
    this.#queue.push(message);
    this.#bytes += message.length;
    this.#pump();
    if (this.#bytes > MAX_STANDBY_BYTES) this.#host.overflow(this);
  }

  /** Sends a heartbeat, but only if the standby has read everything before: a late one would tell nothing. */
  heartbeat(message: Buffer): void {
    if (!this.#blocked && this.#snapshot === null) this.send(message);
  }

  /** Ends the stream with an error. The host is not told. */
  refuse(code: status, details: string): void {
    if (this.#state === 'ended') return;
    this.#end();
    this.#stream.emit('error', Object.assign(new Error(details), { code, details }));
  }

  /** The one place where the state changes. */
  #become(state: StandbyState): void {
    this.#state = state;
  }

  #take(request: FollowRequest): void {
    if (this.#state === 'ended') return;
    if (request.hello !== undefined && this.#state === 'greeting') this.#host.hello(this, request.hello);
    else if (request.ack !== undefined && this.#state !== 'greeting') this.acknowledged = request.ack;
    else {
      this.refuse(status.INVALID_ARGUMENT, 'The first message must be Hello, all others acknowledgements.');
      this.#host.ended(this);
    }
  }

  #pump(): void {
    if (this.#snapshot !== null) this.#pumpSnapshot(this.#snapshot);
    if (this.#blocked || this.#snapshot !== null) return;
    const queue = this.#queue;
    let written = 0;
    for (const message of queue) {
      if (this.#blocked) break;
      written++;
      this.#bytes -= message.length;
      this.#blocked = !this.#stream.write(message);
    }
    if (written > 0) this.#queue = queue.slice(written);
  }

  #pumpSnapshot(snapshot: Iterator<Buffer>): void {
    let bytes = 0;
    try {
      while (!this.#blocked && !this.#isResting) {
        const next = snapshot.next();
        if (next.done === true) {
          this.#snapshot = null;
          return;
        }
        bytes += next.value.length;
        this.#blocked = !this.#stream.write(next.value);
        this.#isResting = bytes >= SNAPSHOT_TURN_BYTES;
      }
    } catch (error) {
      this.#host.untold(this, error);
      return;
    }
    if (this.#isResting) this.#next.request();
  }

  #over(): void {
    if (this.#state === 'ended') return;
    this.#end();
    this.#stream.end();
    this.#host.ended(this);
  }

  #end(): void {
    this.#become('ended');
    this.#snapshot?.return?.();
    this.#snapshot = null;
    this.#queue = [];
    this.#bytes = 0;
  }
}
