import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { Failure } from '../failure.ts';
import { type CallContext, failureOf, isServiceError } from './call-failure.ts';

/** First and longest wait before another attempt, in milliseconds. */
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5000;

/** Answers that will not change by asking again. */
const FINAL: ReadonlySet<number> = new Set([
  status.UNIMPLEMENTED,
  status.INVALID_ARGUMENT,
  status.PERMISSION_DENIED,
  status.UNAUTHENTICATED,
]);

export interface LossesOptions {
  readonly context: CallContext;
  /** The note that is printed when the watch works again: `watching again`. */
  readonly again: string;
  /** Ends the watch. */
  readonly signal: AbortSignal | undefined;
}

/**
 * The losses of a watch that goes on for ever: each is noted once, and the watch begins again after a pause, a longer
 * one each time. A failure is thrown only before the watch has worked once, or if asking again would not help.
 */
export class Losses {
  readonly #options: LossesOptions;
  readonly #onNote: (line: string) => void;
  /** Attempts since it worked last. */
  #failures = 0;
  /** A loss has been noted, and the watch has not worked since. */
  #isNoted = false;
  /** The watch has worked once. */
  hasWorked = false;

  constructor(options: LossesOptions, { onNote }: { readonly onNote: (line: string) => void }) {
    this.#options = options;
    this.#onNote = onNote;
  }

  get isOver(): boolean {
    return this.#options.signal?.aborted === true;
  }

  /** The watch works. */
  worked(): void {
    this.hasWorked = true;
    this.#failures = 0;
    if (this.#isNoted) this.#onNote(this.#options.again);
    this.#isNoted = false;
  }

  /**
   * The watch is lost; settles when it is to begin again.
   * @throws Failure
   */
  async lost(error: unknown): Promise<void> {
    if (this.isOver) return;
    const failure = failureOf(error, this.#options.context);
    if (!(failure instanceof Failure) || !this.hasWorked || isFinal(failure)) throw failure;
    if (!this.#isNoted) this.#onNote(`${failure.message}; trying again`);
    this.#isNoted = true;
    this.#failures++;
    await this.#wait();
  }

  /** The watch is to begin anew, which is no loss: the first time at once, then after a pause. */
  async anew(): Promise<void> {
    if (this.#failures++ > 0) await this.#wait();
  }

  async #wait(): Promise<void> {
    const { signal } = this.#options;
    const ms = Math.min(FIRST_RETRY_MS * 2 ** (this.#failures - 1), LONGEST_RETRY_MS);
    await sleep(ms, undefined, { ...(signal && { signal }) }).catch(() => {});
  }
}

function isFinal({ cause }: Failure): boolean {
  return isServiceError(cause) && FINAL.has(cause.code);
}
