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
  /** Whose turn it is when it is read again. */
  readonly principal: string;
  /** Messages go both ways. */
  readonly isOpen: boolean;
  /** Its socket may be read from, and other connections may still be waited for. */
  readonly mayWait: boolean;
  /** It is about to be read again: what it has to say comes now. False: it is not, its socket has closed. */
  resuming(): boolean;
}

export interface BackpressureDependencies {
  readonly socket: Pick<Socket, 'pause' | 'resume'>;
  readonly queue: Pick<SendQueue, 'bytes'>;
  readonly metrics: Pick<GatewayMetrics, 'pauses'>;
  readonly owner: BackpressureOwner;
}

/**
 * When a connection is read (architecture.md, "Back-pressure"): not while too much waits to be sent to itself, nor while a destination
 * that it has sent to lags. And when those that send to it must wait: while it is high, until it is low.
 */
export class Backpressure implements Reader, Pressure {
  /** How often reading was paused, for a destination or for itself. */
  pauses = 0;
  readonly #deps: BackpressureDependencies;
  /** Bytes queued that make it high. */
  readonly #highWater: number;
  /** Bytes queued at which it is not read itself, and at which it is again. */
  readonly #pauseAbove: number;
  readonly #resumeBelow: number;
  /** Too much waits for itself. */
  #full = false;
  /** What it is not read for: destinations that lag. */
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

  /** More waits for the peer than should: those that send to it are not read until it has drained. */
  get isHigh(): boolean {
    return this.#deps.owner.isOpen && this.#deps.queue.bytes > this.#highWater;
  }

  /** Calls back once, when it is low again or has ended. */
  onceLow(fn: () => void): void {
    if (this.isHigh) this.#onLow.push(fn);
    else fn();
  }

  /** Calls back once, when bytes have drained or the connection ends. */
  onceDrained(fn: () => void): void {
    this.#onDrained.push(fn);
  }

  /** Reads no more until the destination is low. */
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

  /** Waits for nobody any more. */
  waitForNobody(): void {
    this.#waitsFor.clear();
    this.#resume();
  }

  /** Something was queued, and the socket has been given what it takes. */
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
