import type { Clock, Timer } from '../clock.ts';

/** Most bytes of lines that wait for a slow reader; further lines are lost. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** How soon a slow reader is tried again, ms. */
const BEHIND_RETRY_MS = 50;
/** How soon a destination that has failed is tried again, ms; lines are lost until then. */
const BROKEN_RETRY_MS = 1000;

/**
 * Writes what can be written without waiting, and returns the number of bytes.
 * @throws Error with the system's code; EAGAIN: nothing can be written without waiting
 */
export type WriteSome = (bytes: Uint8Array) => number;

/** Lines that were lost, and the system's code for the reason: ENOSPC, EPIPE, EAGAIN (nobody reads), … */
export interface Loss {
  readonly lines: number;
  readonly code: string;
}

/** Bytes to be written. */
interface Entry {
  left: Uint8Array;
  /** null: lines of a caller. Otherwise it is the line that reports this loss. */
  readonly tells: Loss | null;
}

/**
 * Changed in `#become` only.
 *
 * * open: everything is written. From the start; from the others, when everything that waited is written.
 * * behind: the reader takes nothing at present; a limited number of bytes wait. From open.
 * * broken: the last write failed; lines are lost until the next attempt. From open and behind.
 */
type State = 'open' | 'behind' | 'broken';

/**
 * Lines of a log, a banner, or an error. Writing one never waits and never fails: with a full disk, or a pipe that is
 * not read or has no reader, lines are lost. Lost lines are counted, and a line reports them as soon as lines can be
 * written again.
 */
export class LineOutput {
  /** Number of calls of `write` whose lines were lost. */
  lost = 0;
  /** The line that reports a loss, with its line end. */
  describeLoss: (loss: Loss) => string = ({ lines, code }) => `${lines} lines were lost: ${code}\n`;

  readonly #write: WriteSome;
  readonly #clock: Clock;
  #state: State = 'open';
  #waiting: Entry[] = [];
  #waitingBytes = 0;
  /** The loss that is not reported yet. */
  #untold: Loss | null = null;
  /** The last line was written only in part: a line end must come before the next one. */
  #isTorn = false;
  #retry: Timer | null = null;

  constructor({ write, clock }: { write: WriteSome; clock: Clock }) {
    this.#write = write;
    this.#clock = clock;
  }

  /** Writes one or more lines, with their line ends. */
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

  /** Tries once more to write the lines that wait, and to report lost ones. */
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

  /** Drops all lines that wait, as lost. */
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
