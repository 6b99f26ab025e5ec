import { OutBuffer } from '@spanmesh/dmsg/out-buffer';
import type { Destination, Flow } from './flow.ts';

/** Where a buffer notes that messages were passed on into it. */
export interface PassNotes {
  readonly flow: Flow;
  /** Whose buffer it is. */
  readonly destination: Destination;
}

/**
 * An OutBuffer that says when it stops being empty, so that its connection is written at the end of the turn. What is passed on out of
 * a connection's read is noted instead, once a read, and written at the end of that.
 */
export class TurnBuffer extends OutBuffer {
  readonly #began: () => void;
  readonly #notes: PassNotes | null;
  /** Number of the read that was noted last. */
  #read = 0;

  constructor(began: () => void, notes: PassNotes | null = null) {
    super();
    this.#began = began;
    this.#notes = notes;
  }

  override reserve(bytes: number): void {
    if (this.bytes === 0) this.#began();
    super.reserve(bytes);
  }

  override pass(buf: Uint8Array, start: number, end: number): void {
    const notes = this.#notes;
    if (notes === null || notes.flow.read === 0) {
      if (this.bytes === 0) this.#began();
    } else if (notes.flow.read !== this.#read) {
      this.#read = notes.flow.read;
      notes.flow.sentTo(notes.destination);
    }
    super.pass(buf, start, end);
  }
}
