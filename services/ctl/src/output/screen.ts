import type { Writable } from 'node:stream';
import { write } from '../terminal.ts';

/** Switches to the terminal's alternate screen, hides the cursor, and has lines that are too long cut, not wrapped. */
const BEGIN = '\u001b[?1049h\u001b[?25l\u001b[?7l';
const END = '\u001b[?7h\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const REST_OF_LINE = '\u001b[K';
const REST_OF_SCREEN = '\u001b[J';
/** Rows of a terminal whose number of rows is unknown. */
const DEFAULT_ROWS = 24;

/** A terminal on which each block of text replaces the one before, in place. */
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

  /**
   * Writes the lines of the block that fit over the block before. Nothing is cleared first, so that nothing flickers.
   */
  show(block: string): Promise<void> {
    const lines = block.trimEnd().split('\n').slice(0, this.rows);
    return write(this.#out, `${HOME}${lines.map((line) => `${line}${REST_OF_LINE}`).join('\r\n')}${REST_OF_SCREEN}`);
  }

  end(): Promise<void> {
    return write(this.#out, END);
  }
}

/** Columns of a terminal; infinite if the stream is no terminal. */
export function widthOf(out: Writable): number {
  return isTerminal(out) && 'columns' in out && typeof out.columns === 'number' && out.columns > 0
    ? out.columns
    : Number.POSITIVE_INFINITY;
}

/** Whether the stream is a terminal, which somebody may be looking at. */
export function isTerminal(out: Writable): boolean {
  return 'isTTY' in out && out.isTTY === true;
}
