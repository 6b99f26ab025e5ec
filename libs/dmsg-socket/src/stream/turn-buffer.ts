import { OutBuffer } from '@spanmesh/dmsg/out-buffer';
import type { Destination, Flow } from './flow.ts';

/** Where a TurnBuffer notes that messages were passed on into it. */
export interface PassNotes {
  readonly flow: Flow;
  /** The connection that the buffer belongs to. */
  readonly destination: Destination;
}

/**
 * Longest message that is copied in order to be written with others: one with a block of 4 KiB. Copying that takes at
 * most a tenth of the time of a write.
 */
const COPIED_BYTES = 4096 + 256;

/**
 * An OutBuffer that says when it stops being empty, so that its connection is written at the end of the turn. A message
 * passed on out of a connection's read is instead noted in the Flow, once a read, and written at the end of that read.
 * In a crowded turn in which this buffer was already written, it is copied, and written at the end of the turn
 * (flow.ts).
 */
export class TurnBuffer extends OutBuffer {
  readonly #began: () => void;
  readonly #notes: PassNotes | null;
  /** Number of the read that was last noted with `sentTo`, and with `copiedTo`. */
  #read = 0;
  #copiedRead = 0;
  /** Number of the crowded turn in which this buffer was last written. */
  #takenTurn = 0;

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
    } else {
      const { flow, destination } = notes;
      const { read } = flow;
      if (this.#takenTurn !== 0 && this.#takenTurn === flow.crowdedTurn && end - start <= COPIED_BYTES) {
        if (read !== this.#copiedRead) {
          this.#copiedRead = read;
          flow.copiedTo(destination);
        }
        super.reserve(end - start);
        this.buf.set(buf.subarray(start, end), this.at);
        return;
      }
      if (read !== this.#read) {
        this.#read = read;
        flow.sentTo(destination);
      }
    }
    super.pass(buf, start, end);
  }

  /** Counted when it is written next, soon: a reader that has brought it may have to wait. */
  override hold(bytes: number): void {
    super.hold(bytes);
    const notes = this.#notes;
    if (notes === null || notes.flow.read === 0) this.#began();
    else notes.flow.sentTo(notes.destination);
  }

  override take(): Uint8Array[] {
    this.#takenTurn = this.#notes?.flow.crowdedTurn ?? 0;
    return super.take();
  }
}
