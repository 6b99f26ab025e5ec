import type { Clock, Timer } from '@spanmesh/runtime/clock';

/** The connection that is watched. */
export interface MessageReceiver {
  /** The connection is not read at the moment: an unfinished message is then our doing. */
  readonly isPaused: boolean;
  /** A message was begun and not finished in time. */
  messageOverdue(): void;
}

/**
 * Sees to it that a message, once begun, is finished in time: half a message costs memory for as long as its sender
 * likes. There is one timer while a message is unfinished, not one a read: busy connections are read thousands of times
 * a second.
 */
export class MessageDeadline {
  readonly #limitMs: number;
  readonly #clock: Clock;
  readonly #receiver: MessageReceiver;
  #timer: Timer | null = null;
  /** When the unfinished message began; meaningless while there is none. */
  #began = 0;
  #unfinished = false;

  constructor(
    { limitMs }: { readonly limitMs: number },
    deps: { readonly clock: Clock; readonly receiver: MessageReceiver },
  ) {
    this.#limitMs = limitMs;
    this.#clock = deps.clock;
    this.#receiver = deps.receiver;
  }

  /**
   * After a read. `pending`: bytes of an unfinished message; `finished`: the read has completed a message before it.
   */
  note(pending: number, finished: boolean): void {
    if (pending === 0) {
      this.#unfinished = false;
      return;
    }
    if (!this.#unfinished || finished) this.#began = this.#clock.now();
    this.#unfinished = true;
    if (this.#timer === null) this.#watch(this.#limitMs);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #watch(ms: number): void {
    this.#timer = this.#clock.after(ms, () => {
      this.#timer = null;
      if (!this.#unfinished) return;
      if (this.#receiver.isPaused) this.#began = this.#clock.now();
      const left = this.#began + this.#limitMs - this.#clock.now();
      if (left <= 0) this.#receiver.messageOverdue();
      else this.#watch(left);
    });
  }
}
