import type { OutBuffer } from '@spanmesh/dmsg/out-buffer';
import type { Outbox } from '@spanmesh/dmsg/outbox';
import type { SaltSequence } from '@spanmesh/dmsg/salt';
import { copyOf, isTransient } from '@spanmesh/dmsg-socket/socket/read-memory';
import type { OutWindow } from './credit.ts';

/**
 * The outbox of a trunk's endpoint. It charges every message to the current window, and marks the message with the
 * window's name in the upper 24 bits of the salt. (These bits belong to each hop; the low 8 count messages as
 * everywhere.) The bytes go to one buffer while the trunk is not connected, and to the socket's buffer afterwards.
 */
export class TrunkOutbox implements Outbox, Pick<SaltSequence, 'next'> {
  /** The current window; set before each message (EndpointDependencies.sending). */
  window: OutWindow;
  #target: OutBuffer;
  #isSwitched = false;
  #count = 0;

  constructor(target: OutBuffer, window: OutWindow) {
    this.#target = target;
    this.window = window;
  }

  get buf(): Uint8Array {
    return this.#target.buf;
  }

  get view(): DataView {
    return this.#target.view;
  }

  get at(): number {
    return this.#target.at;
  }

  reserve(bytes: number): void {
    this.window.sent += bytes;
    this.#target.reserve(bytes);
  }

  pass(buf: Uint8Array, start: number, end: number): void {
    this.window.sent += end - start;
    // The message waits until there is a socket, longer than the read buffer keeps its bytes.
    if (!this.#isSwitched && isTransient(buf)) this.#target.pass(copyOf(buf.subarray(start, end)), 0, end - start);
    else this.#target.pass(buf, start, end);
  }

  hold(bytes: number): void {
    this.#target.hold(bytes);
  }

  next(): number {
    const salt = ((this.window.id << 8) | this.#count) >>> 0;
    this.#count = (this.#count + 1) & 0xff;
    return salt;
  }

  /** Changes to another buffer. The bytes written so far go to it first. */
  switchTo(target: OutBuffer): void {
    target.hold(this.#target.waitingBytes);
    for (const slice of this.#target.take()) target.pass(slice, 0, slice.length);
    this.#target = target;
    this.#isSwitched = true;
  }
}
