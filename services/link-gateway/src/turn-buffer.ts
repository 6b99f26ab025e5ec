import { OutBuffer } from '@spanmesh/dmsg/out-buffer';

/** An OutBuffer that says when it stops being empty, so that its connection is written at the end of the turn. */
export class TurnBuffer extends OutBuffer {
  readonly #began: () => void;

  constructor(began: () => void) {
    super();
    this.#began = began;
  }

  override reserve(bytes: number): void {
    if (this.bytes === 0) this.#began();
    super.reserve(bytes);
  }

  override pass(buf: Uint8Array, start: number, end: number): void {
    if (this.bytes === 0) this.#began();
    super.pass(buf, start, end);
  }
}
