import { rulesOf } from '@spanmesh/dmsg/dialect';
import type { Tap } from '@spanmesh/dmsg-socket/stream/tap';
import type { CapturedMessage, CaptureMessagesRequest, CaptureMessagesResponse } from '@spanmesh/proto/v1/capture';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { Turn } from '@spanmesh/runtime/turn';
import type { Connection } from '../connection/connection.ts';
import { CAPTURE_BYTES, CAPTURE_LINGER_MS, MAX_CAPTURE_MS } from '../limits.ts';
import { MessageSplitter } from './message-splitter.ts';

/** Bytes that a message counts for besides its own, roughly: its object here, and its framing in the answer. */
const MESSAGE_COST = 128;

/** What a capture needs of a connection. */
export type Tapped = Pick<Connection, 'dialect' | 'tap'>;

/** The stream of a capture's caller. */
export interface CaptureStream {
  /** Calls back once the bytes have left. */
  write(part: CaptureMessagesResponse, written: () => void): boolean;
  end(): void;
  destroy(error: Error): unknown;
}

/**
 * One capture: the tap of a connection, which hands copies of its messages to the caller as fast as the caller reads.
 * Messages that find no room are dropped and counted; the connection never waits for the caller.
 */
export class Capture implements Tap {
  readonly connection: Tapped;
  /** Messages that were handed on. */
  messages = 0;
  /** Messages that were dropped for want of room. */
  dropped = 0;
  readonly #count: number;
  readonly #clock: Clock;
  readonly #stream: CaptureStream;
  readonly #over: () => void;
  readonly #read: MessageSplitter;
  readonly #wrote: MessageSplitter;
  readonly #turn = new Turn(() => this.#flush());
  readonly #timer: Timer;
  #linger: Timer | null = null;
  /** The beginning of a message of the peer has been seen; bytes before it are not captured. */
  #isAligned = false;
  /** Messages of this turn of the event loop, not yet handed to gRPC. */
  #gathered: CapturedMessage[] = [];
  /** Bytes of messages that have not left: gathered here, or queued in gRPC. */
  #heldBytes = 0;
  /** Bytes dropped since the last message that was handed on, by direction. */
  readonly #missed = { read: 0, sent: 0 };
  #isOver = false;

  /** Sets itself as the connection's tap. `over`: called once, when the capture has ended. */
  constructor(
    connection: Tapped,
    request: Pick<CaptureMessagesRequest, 'count' | 'durationMs' | 'snaplen'>,
    { clock, stream, over }: { readonly clock: Clock; readonly stream: CaptureStream; readonly over: () => void },
  ) {
    const { dialect } = connection;
    const rules = rulesOf(dialect ?? 'circuit');
    const options = { rules, snaplen: request.snaplen || Number.POSITIVE_INFINITY };
    this.connection = connection;
    this.#count = request.count || Number.POSITIVE_INFINITY;
    this.#clock = clock;
    this.#stream = stream;
    this.#over = over;
    this.#read = new MessageSplitter(options, (bytes, length) => this.#gather(false, bytes, length));
    this.#wrote = new MessageSplitter(options, (bytes, length) => this.#gather(true, bytes, length));
    const durationMs = Math.min(request.durationMs || MAX_CAPTURE_MS, MAX_CAPTURE_MS);
    this.#timer = clock.after(durationMs, () => this.end('its time is over'));
    connection.tap = this;
    // An empty part at once tells the caller that every message from here on is captured.
    stream.write({ messages: [], dropped: 0, ended: '' }, () => {});
  }

  read(bytes: Uint8Array, pending: number): void {
    if (!this.#isAligned && pending > 0) return;
    this.#isAligned = true;
    this.#read.push(bytes);
  }

  wrote(slices: readonly Uint8Array[]): void {
    for (const slice of slices) this.#wrote.push(slice);
  }

  /** Ends the capture in order: messages gathered so far are still sent. `why`: a sentence for people. */
  end(why: string): void {
    if (this.#isOver) return;
    this.#read.finish();
    this.#wrote.finish();
    this.#stop();
    this.#flush();
    this.#stream.write({ messages: [], dropped: this.dropped, ended: why }, () => this.#linger?.cancel());
    this.#stream.end();
    // Otherwise a caller that does not read would keep its unread messages in memory.
    this.#linger = this.#clock.after(CAPTURE_LINGER_MS, () => this.#stream.destroy(new Error('not read in time')));
  }

  /** The caller has gone: ends the capture without a last part. */
  cancel(): void {
    this.#linger?.cancel();
    this.#stop();
  }

  #stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer.cancel();
    if (this.connection.tap === this) this.connection.tap = null;
    this.#over();
  }

  #gather(sent: boolean, data: Buffer, length: number): void {
    if (this.#isOver || this.messages === this.#count) return;
    const direction = sent ? 'sent' : 'read';
    const cost = data.length + MESSAGE_COST;
    if (this.#heldBytes + cost > CAPTURE_BYTES) {
      this.dropped++;
      this.#missed[direction] += length;
      return;
    }
    const timeUs = Math.floor(this.#clock.wall() * 1000);
    this.#gathered.push({ timeUs, sent, data, length, missedBytes: this.#missed[direction] });
    this.#missed[direction] = 0;
    this.#heldBytes += cost;
    this.messages++;
    this.#turn.request();
  }

  #flush(): void {
    const messages = this.#gathered;
    if (messages.length > 0) {
      this.#gathered = [];
      let bytes = 0;
      for (const { data } of messages) bytes += data.length + MESSAGE_COST;
      this.#stream.write({ messages, dropped: this.dropped, ended: '' }, () => {
        this.#heldBytes -= bytes;
      });
    }
    if (this.messages === this.#count) this.end('as many messages as were asked for have been captured');
  }
}
