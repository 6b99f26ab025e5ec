import { status } from '@grpc/grpc-js';
import type { Pressure } from '@spanmesh/dmsg-socket/stream/pressure';
import type { OpenRouteResponse } from '@spanmesh/proto/v1/messaging';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { ApiError } from '@spanmesh/runtime/grpc/api-error';
import { CLIENT_HIGH_BYTES, CLIENT_IN_FLIGHT_BYTES, CLIENT_LIMIT_BYTES, CLIENT_STALL_MS } from './limits.ts';

/** The part of an OpenRoute call's server side that is written to. */
export interface ResponseStream {
  write(response: OpenRouteResponse, written: (error?: Error | null) => void): boolean;
  end(): void;
  emit(event: 'error', error: Error): boolean;
}

/**
 * The bounded queue of messages that wait for one client, in order. gRPC is given little at a time, because messages
 * given to it cannot be dropped any more. While much waits the pressure is high. A client that takes nothing for too
 * long, or for which too much waits, is given up.
 */
export class ClientStream implements Pressure {
  readonly #stream: ResponseStream;
  readonly #clock: Clock;
  readonly #onStuck: (error: ApiError) => void;
  #queue: OpenRouteResponse[] = [];
  #next = 0;
  /** Sizes of all waiting messages: first those given to gRPC, then those in the queue. */
  #sizes: number[] = [];
  #firstSize = 0;
  #inFlight = 0;
  #waiting = 0;
  #onLow: (() => void)[] = [];
  #takenAt = 0;
  #stall: Timer | null = null;
  #ended = false;
  readonly #written = (): void => this.#onWritten();

  /** `onStuck`: called when the client does not read; it must end the stream. */
  constructor(stream: ResponseStream, deps: { clock: Clock; onStuck: (error: ApiError) => void }) {
    this.#stream = stream;
    this.#clock = deps.clock;
    this.#onStuck = deps.onStuck;
  }

  /** Bytes that the client has not taken, as far as gRPC reports. */
  get bytes(): number {
    return this.#inFlight + this.#waiting;
  }

  get isHigh(): boolean {
    return !this.#ended && this.bytes > CLIENT_HIGH_BYTES;
  }

  onceLow(fn: () => void): void {
    if (this.isHigh) this.#onLow.push(fn);
    else fn();
  }

  /** `bytes`: approximate size of the message. */
  write(response: OpenRouteResponse, bytes: number): void {
    if (this.#ended) return;
    this.#sizes.push(bytes);
    if (this.#inFlight < CLIENT_IN_FLIGHT_BYTES && this.#next === this.#queue.length) {
      this.#inFlight += bytes;
      this.#stream.write(response, this.#written);
    } else {
      this.#waiting += bytes;
      this.#queue.push(response);
    }
    if (this.#stall === null) {
      this.#takenAt = this.#clock.now();
      this.#watch(CLIENT_STALL_MS);
    }
    if (this.bytes > CLIENT_LIMIT_BYTES) {
      this.#onStuck(
        new ApiError(
          status.RESOURCE_EXHAUSTED,
          `More than ${CLIENT_LIMIT_BYTES} bytes wait for this client: read faster.`,
        ),
      );
    }
  }

  /** Sends all waiting messages, then ends the stream. */
  end(): void {
    if (this.#ended) return;
    for (const waiting of this.#queue.slice(this.#next)) this.#stream.write(waiting, this.#written);
    this.#drop();
    this.#stream.end();
  }

  /** Ends the stream with an error; waiting messages are dropped. */
  fail(error: ApiError): void {
    if (this.#ended) return;
    this.#drop();
    this.#stream.emit('error', error);
  }

  /** The client is gone: drops the waiting messages. */
  abandon(): void {
    this.#drop();
  }

  #drop(): void {
    this.#ended = true;
    this.#stall?.cancel();
    this.#stall = null;
    this.#queue = [];
    this.#next = 0;
    this.#sizes = [];
    this.#callLow();
  }

  #onWritten(): void {
    if (this.#ended) return;
    this.#inFlight -= this.#takeSize();
    this.#takenAt = this.#clock.now();
    while (this.#inFlight < CLIENT_IN_FLIGHT_BYTES && this.#next < this.#queue.length) {
      const waiting = this.#queue[this.#next];
      if (waiting === undefined) break;
      const bytes = this.#sizes[this.#sizes.length - (this.#queue.length - this.#next)] ?? 0;
      this.#inFlight += bytes;
      this.#waiting -= bytes;
      this.#next++;
      this.#stream.write(waiting, this.#written);
    }
    if (this.#next === this.#queue.length) {
      this.#queue.length = 0;
      this.#next = 0;
    } else if (this.#next > 1024 && this.#next * 2 > this.#queue.length) {
      this.#queue.splice(0, this.#next);
      this.#next = 0;
    }
    if (this.bytes === 0) {
      this.#stall?.cancel();
      this.#stall = null;
    }
    if (this.bytes < CLIENT_HIGH_BYTES / 2) this.#callLow();
  }

  #takeSize(): number {
    const bytes = this.#sizes[this.#firstSize++] ?? 0;
    if (this.#firstSize === this.#sizes.length) {
      this.#sizes.length = 0;
      this.#firstSize = 0;
    } else if (this.#firstSize > 1024 && this.#firstSize * 2 > this.#sizes.length) {
      this.#sizes.splice(0, this.#firstSize);
      this.#firstSize = 0;
    }
    return bytes;
  }

  #callLow(): void {
    if (this.#onLow.length === 0) return;
    const waiting = this.#onLow;
    this.#onLow = [];
    for (const fn of waiting) fn();
  }

  /** Watches for a client that takes nothing. One timer runs while anything waits, not one a message. */
  #watch(ms: number): void {
    this.#stall = this.#clock.after(ms, () => {
      this.#stall = null;
      const left = this.#takenAt + CLIENT_STALL_MS - this.#clock.now();
      if (left > 0) {
        this.#watch(left);
        return;
      }
      const details = `This client has read nothing for ${CLIENT_STALL_MS} ms while messages wait for it.`;
      this.#onStuck(new ApiError(status.RESOURCE_EXHAUSTED, details));
    });
  }
}
