import type { Writable } from 'node:stream';
import { write } from '../terminal.ts';

/** Another screen than the one with the shell's lines; no cursor; and lines that are too long are cut, not broken. */
const BEGIN = '\u001b[?1049h\u001b[?25l\u001b[?7l';
const END = '\u001b[?7h\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const REST_OF_LINE = '\u001b[K';
const REST_OF_SCREEN = '\u001b[J';
/** Rows of a terminal that does not say how many it has. */
const DEFAULT_ROWS = 24;

/** A terminal on which one block is shown over the other, in place. */
export class Screen {
  readonly #out: Writable;

  constructor(out: Writable) {
    this.#out = out;
  }

  /** Lines that fit. */
  get rows(): number {
    return 'rows' in this.#out && typeof this.#out.rows === 'number' ? this.#out.rows : DEFAULT_ROWS;
  }

  begin(): Promise<void> {
    return write(this.#out, BEGIN);
  }

  /** The lines of the block that fit, over the one before: nothing is cleared first, so that nothing flickers. */
  show(block: string): Promise<void> {
    const lines = block.trimEnd().split('\n').slice(0, this.rows);
    return write(this.#out, `${HOME}${lines.map((line) => `${line}${REST_OF_LINE}`).join('\r\n')}${REST_OF_SCREEN}`);
  }

  end(): Promise<void> {
    return write(this.#out, END);
  }
}

/** Columns of a terminal; without one there is no limit. */
export function widthOf(out: Writable): number {
  return isTerminal(out) && 'columns' in out && typeof out.columns === 'number' && out.columns > 0
    ? out.columns
    : Number.POSITIVE_INFINITY;
}

/** Somebody looks at it, as far as that can be told. */
export function isTerminal(out: Writable): boolean {
  return 'isTTY' in out && out.isTTY === true;
}
