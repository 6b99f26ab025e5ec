import { connect, type Socket } from 'node:net';
import { CREATE, REPLY } from '@spanmesh/dmsg/command';
import { rulesOf } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import { FrameReader } from '@spanmesh/dmsg/framing';
import type { Dialect } from '../peer/wire.ts';
import type { Grower } from './grow.ts';
import type { Random } from './random.ts';
import { SessionBytes } from './session-bytes.ts';

/** Milliseconds that a session waits for the router to close its connection. Many connections are rightly left open. */
const WAIT_MS = 120;

/** The listener that a session connects to. */
export interface SessionPlace {
  readonly port: number;
  readonly dialect: Dialect;
  /** The listener has a dialect, so the router's messages can be decoded. */
  readonly isFixed: boolean;
}

/** A session as it happened, with all data that are needed to send it again. */
export interface SessionRecord {
  readonly index: number;
  readonly port: 'fixed' | 'auto';
  readonly dialect: Dialect;
  readonly sent: Buffer[];
}

/** One hostile connection. Errors of its socket are ignored, because the router may close it. */
export class GatewaySession {
  readonly record: SessionRecord;
  /** The error at a message of the router that could not be decoded. */
  fault: unknown = null;
  /** Messages that the router sent. */
  received = 0;

  readonly #random: Random;
  readonly #bytes: SessionBytes;
  readonly #reader: FrameReader | null;
  readonly #socket: Socket;
  readonly #done: () => void;
  /** Whether it waits for the effects of its messages, such as relays, which topology selects. */
  readonly #isPatient: boolean;
  #burstsLeft: number;
  #first = true;
  #timer: NodeJS.Timeout | null = null;

  constructor(index: number, place: SessionPlace, random: Random, grower: Grower, done: () => void) {
    this.record = { index, port: place.isFixed ? 'fixed' : 'auto', dialect: place.dialect, sent: [] };
    this.#random = random;
    this.#bytes = new SessionBytes(place.dialect, random, grower);
    this.#reader = place.isFixed ? new FrameReader({ rules: rulesOf(place.dialect) }) : null;
    this.#isPatient = random.oneIn(3);
    this.#burstsLeft = random.few(6, this.#isPatient ? 230 : 180);
    this.#done = done;
    const localAddress = `127.0.0.${2 + random.below(60)}`;
    this.#socket = connect({ port: place.port, host: '127.0.0.1', localAddress, allowHalfOpen: random.oneIn(4) });
    this.#socket.setNoDelay(true);
    this.#socket.on('error', () => {});
    this.#socket.on('data', (chunk) => this.#hear(chunk));
    // A listener with a dialect sends first. A peer that left before that would have had no effect.
    if (place.isFixed && !random.oneIn(8)) this.#socket.once('data', () => this.#speak());
    else this.#socket.once('connect', () => this.#speak());
    this.#socket.once('close', () => this.#closed());
  }

  #closed(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#reader?.stop();
    this.#done();
  }

  #hear(chunk: Buffer): void {
    if (this.#reader === null || this.fault !== null) return;
    try {
      this.#reader.push(chunk, { onFrame: (frame) => this.#onFrame(frame) });
    } catch (error) {
      this.fault = error;
    }
  }

  #onFrame(frame: Frame): void {
    this.received++;
    if ((frame.cmd & (CREATE | REPLY)) >>> 0 === CREATE) this.#bytes.opened(frame);
  }

  #speak(): void {
    const socket = this.#socket;
    if (socket.destroyed) return;
    if (this.#burstsLeft-- <= 0) {
      if (this.#socket.bytesRead > 0 || this.#random.oneIn(8)) this.#finish();
      else this.#timer = setTimeout(() => this.#finish(), WAIT_MS);
      return;
    }
    const random = this.#random;
    const bytes = this.#bytes.burst(this.#first);
    this.#first = false;
    this.record.sent.push(bytes);
    const cut = random.oneIn(4) ? random.below(bytes.length + 1) : bytes.length;
    socket.write(bytes.subarray(0, cut));
    if (cut < bytes.length) setImmediate(() => socket.destroyed || socket.write(bytes.subarray(cut)));
    // Gives the router time to answer, or no time.
    const pause = this.#isPatient ? 10 + random.below(20) : random.oneIn(3) ? 0 : 1 + random.below(5);
    this.#timer = setTimeout(() => this.#speak(), pause);
  }

  #finish(): void {
    const socket = this.#socket;
    switch (this.#random.below(8)) {
      case 0:
        socket.destroy();
        break;
      case 1:
        socket.end();
        this.#resetLater();
        break;
      case 2:
        this.#resetLater();
        break;
      case 3:
        socket.resetAndDestroy();
        break;
      default:
        // After the messages sent have had effects.
        this.#timer = setTimeout(() => socket.resetAndDestroy(), 1 + this.#random.below(12));
    }
  }

  #resetLater(): void {
    this.#timer = setTimeout(() => this.#socket.resetAndDestroy(), WAIT_MS);
  }
}
