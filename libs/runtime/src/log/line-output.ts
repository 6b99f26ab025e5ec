import type { Clock, Timer } from '../clock.ts';

/** Bytes of lines that wait for a reader that is behind; lines that come then are lost. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** How soon a reader that is behind is tried again, ms. */
const BEHIND_RETRY_MS = 50;
/** How soon a destination that failed is tried again, ms; lines are lost until then. */
const BROKEN_RETRY_MS = 1000;

/**
 * Writes what can be written at once, and returns how many bytes that was.
 * @throws Error with the system's code; EAGAIN: nothing can be written at once
 */
export type WriteSome = (bytes: Uint8Array) => number;

/** Lines that were lost, and the system's code for why: ENOSPC, EPIPE, EAGAIN (nobody reads), … */
export interface Loss {
  readonly lines: number;
  readonly code: string;
}

/** Something to be written. */
interface Entry {
  left: Uint8Array;
  /** null: lines of a caller. Otherwise it tells of this loss. */
  readonly tells: Loss | null;
}

/**
 * Changed in `#become` only.
 *
 * * open: everything is written. From the start; from the others, when all that waited is written.
 * * behind: the reader takes nothing at present; a bounded number of bytes wait. From open.
 * * broken: the last write failed; lines are lost until the next try. From open and behind.
 */
type State = 'open' | 'behind' | 'broken';

/**
 * Lines for a log, a banner, an error. Writing one never waits and never fails: a full disk, a pipe that nobody reads and a pipe
 * without a reader lose lines. Lost lines are counted, and one line tells of them as soon as lines can be written again.
 */
export class LineOutput {
  /** Calls of `write` whose lines were lost. */
  lost = 0;
  /** The line that tells of a loss, with its line end. */
  describeLoss: (loss: Loss) => string = ({ lines, code }) => `${lines} lines were lost: ${code}\n`;

  readonly #write: WriteSome;
  readonly #clock: Clock;
  #state: State = 'open';
  #waiting: Entry[] = [];
  #waitingBytes = 0;
  /** Lost, and told to nobody yet. */
  #untold: Loss | null = null;
  /** The last line written has no end: the next one must not become a part of it. */
  #isTorn = false;
  #retry: Timer | null = null;

  constructor({ write, clock }: { write: WriteSome; clock: Clock }) {
    this.#write = write;
    this.#clock = clock;
  }

  /** A line or several, with their line ends. */
  write(text: string): void {
    const left = Buffer.from(text);
    const isFull = this.#waitingBytes + left.length > MAX_WAITING_BYTES;
    if (this.#state === 'broken' || (this.#state === 'behind' && isFull)) {
      this.lost++;
      this.#untold = { lines: (this.#untold?.lines ?? 0) + 1, code: this.#untold?.code ?? 'EAGAIN' };
      return;
    }
    this.#push({ left, tells: null });
    if (this.#state === 'open') this.#drain();
  }

  /** Tries once more to write what waits, and to tell what was lost. */
  flush(): void {
    if (this.#state !== 'open') this.#drain();
  }

  #push(entry: Entry): void {
    this.#waiting.push(entry);
    this.#waitingBytes += entry.left.length;
  }

  #drain(): void {
    try {
      for (;;) {
        const [entry] = this.#waiting;
        if (entry !== undefined) this.#writeSome(entry);
        else if (this.#untold !== null) this.#tell(this.#untold);
        else break;
      }
      this.#become('open');
    } catch (error) {
      const { code = 'EIO' } = error as NodeJS.ErrnoException;
      if (code !== 'EAGAIN') this.#lose(code);
      this.#become(code === 'EAGAIN' ? 'behind' : 'broken');
    }
  }

  /** @throws as WriteSome */
  #writeSome(entry: Entry): void {
    const written = this.#write(entry.left);
    this.#waitingBytes -= written;
    entry.left = entry.left.subarray(written);
    this.#isTorn = entry.left.length > 0;
    if (!this.#isTorn) this.#waiting.shift();
  }

  #tell(loss: Loss): void {
    this.#untold = null;
    const end = this.#isTorn ? '\n' : '';
    this.#push({ left: Buffer.from(end + this.describeLoss(loss)), tells: loss });
  }

  /** Everything that waits. */
  #lose(code: string): void {
    let lines = this.#untold?.lines ?? 0;
    for (const { tells } of this.#waiting) {
      if (tells === null) this.lost++;
      lines += tells?.lines ?? 1;
    }
    this.#untold = { lines, code };
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #become(state: State): void {
    this.#state = state;
    this.#retry?.cancel();
    this.#retry =
      state === 'open'
        ? null
        : this.#clock.after(state === 'behind' ? BEHIND_RETRY_MS : BROKEN_RETRY_MS, () => this.#drain());
  }
}
