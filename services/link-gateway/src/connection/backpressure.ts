import type { Socket } from 'node:net';
import type { Reader } from '@spanmesh/dmsg-socket/stream/flow';
import type { Pressure } from '@spanmesh/dmsg-socket/stream/pressure';
import type { SendQueue } from '@spanmesh/dmsg-socket/stream/send-queue';
import {
  HIGH_WATER_BYTES,
  HIGH_WATER_SHARE,
  LOW_WATER_SHARE,
  PAUSE_READING_SHARE,
  RESUME_READING_SHARE,
} from '../limits.ts';
import type { GatewayMetrics } from '../metrics.ts';

/** The connection whose reading and writing are balanced. */
export interface BackpressureOwner {
  /** The principal by which paused connections take turns to be read again. */
  readonly principal: string;
  /** Messages go both ways. */
  readonly isOpen: boolean;
  /** Open and not leaving: reading may be paused for a destination. */
  readonly mayWait: boolean;
  /** The connection is about to be read again. False: its socket has closed, so it is not. */
  resuming(): boolean;
}

export interface BackpressureDependencies {
  readonly socket: Pick<Socket, 'pause' | 'resume'>;
  readonly queue: Pick<SendQueue, 'bytes'>;
  readonly metrics: Pick<GatewayMetrics, 'pauses'>;
  readonly owner: BackpressureOwner;
}

/**
 * Back-pressure of one connection (architecture.md, "Back-pressure"). It is not read while too much is queued for its
 * own peer, nor while the queue of a destination of its messages is above the high-water mark. Connections that send to
 * it are not read while its own queue is above that mark ("high"), until it has drained ("low").
 */
export class Backpressure implements Reader, Pressure {
  /** How often reading was paused, for a destination or for itself. */
  pauses = 0;
  readonly #deps: BackpressureDependencies;
  /** The connection is high while more bytes than this are queued. */
  readonly #highWater: number;
  /** Queued bytes above which the connection itself is not read, and below which it is read again. */
  readonly #pauseAbove: number;
  readonly #resumeBelow: number;
  /** Reading is paused because too much is queued for the connection's own peer. */
  #full = false;
  /** Destinations above their high-water mark, for which reading is paused. */
  readonly #waitsFor = new Set<Pressure>();
  #onDrained: (() => void)[] = [];
  #onLow: (() => void)[] = [];

  /** `sendLimit`: bytes that may wait for the peer at most. */
  constructor({ sendLimit }: { readonly sendLimit: number }, deps: BackpressureDependencies) {
    this.#deps = deps;
    this.#highWater = Math.min(HIGH_WATER_BYTES, sendLimit * HIGH_WATER_SHARE);
    this.#pauseAbove = sendLimit * PAUSE_READING_SHARE;
    this.#resumeBelow = sendLimit * RESUME_READING_SHARE;
  }

  /** The connection is not read at the moment: its silence means nothing. */
  get isPaused(): boolean {
    return this.#full || this.#waitsFor.size > 0;
  }

  /**
   * The queue for the peer is above its high-water mark: connections that send to it are not read until it has drained.
   */
  get isHigh(): boolean {
    return this.#deps.owner.isOpen && this.#deps.queue.bytes > this.#highWater;
  }

  /** Calls back once, when the queue is low again or the connection has ended. */
  onceLow(fn: () => void): void {
    if (this.isHigh) this.#onLow.push(fn);
    else fn();
  }

  /** Calls back once, when bytes have drained or the connection ends. */
  onceDrained(fn: () => void): void {
    this.#onDrained.push(fn);
  }

  /** Reads no more until the destination is low, that is, has drained. */
  pauseFor(destination: Pressure): void {
    const { owner, socket, metrics } = this.#deps;
    if (this.#waitsFor.has(destination) || !owner.mayWait) return;
    if (!this.isPaused) socket.pause();
    this.#waitsFor.add(destination);
    metrics.pauses++;
    this.pauses++;
    destination.onceLow(() => {
      this.#waitsFor.delete(destination);
      this.#resume();
    }, owner.principal);
  }

  /** Waits for no destination any more. */
  waitForNobody(): void {
    this.#waitsFor.clear();
    this.#resume();
  }

  /** Messages were queued, and the socket was given as much as it takes. */
  queued(): void {
    const { queue, socket } = this.#deps;
    if (this.#full || queue.bytes <= this.#pauseAbove) return;
    if (!this.isPaused) socket.pause();
    this.#full = true;
    this.pauses++;
  }

  /** Less is queued than before, or the connection has ended. */
  drained(): void {
    const { owner, queue } = this.#deps;
    if (this.#full && queue.bytes < this.#resumeBelow) {
      this.#full = false;
      this.#resume();
    }
    if (this.#onLow.length > 0 && (!owner.isOpen || queue.bytes <= this.#highWater * LOW_WATER_SHARE)) {
      const low = this.#onLow;
      this.#onLow = [];
      for (const fn of low) fn();
    }
    if (this.#onDrained.length === 0) return;
    const waiting = this.#onDrained;
    this.#onDrained = [];
    for (const fn of waiting) fn();
  }

  #resume(): void {
    if (!this.isPaused && this.#deps.owner.resuming()) this.#deps.socket.resume();
  }
}
