import type { Clock, Timer } from '../clock.ts';
import type { LogLevel } from './log-levels.ts';
import type { Logger } from './logger.ts';

/** How long a changed level lasts by default, ms. */
export const DEFAULT_LOG_LEVEL_MS = 15 * 60_000;
/** Longest time for a changed level, ms: a permanent level belongs in the settings. */
export const MAX_LOG_LEVEL_MS = 24 * 3_600_000;

/** The level of a process's log: that of its settings, or another one for a time. */
export type LogLevelState =
  | { readonly kind: 'configured' }
  | { readonly kind: 'changed'; readonly level: LogLevel; readonly by: string; readonly until: number };

/**
 * The level of a process's log: that of its settings, or another one for a time.
 *   configured   from the start; when the time is over; by `reset`
 *   changed      by `change`; `until`: ms since 1970
 */
export class LogLevelControl {
  readonly configured: LogLevel;
  readonly #logger: Logger;
  readonly #clock: Clock;
  #state: LogLevelState = { kind: 'configured' };
  #timer: Timer | null = null;

  constructor({ configured }: { configured: LogLevel }, { logger, clock }: { logger: Logger; clock: Clock }) {
    this.configured = configured;
    this.#logger = logger;
    this.#clock = clock;
  }

  get state(): LogLevelState {
    return this.#state;
  }

  get level(): LogLevel {
    return this.#state.kind === 'changed' ? this.#state.level : this.configured;
  }

  /** `forMs`: 1 to MAX_LOG_LEVEL_MS. `by`: who has asked for it, for the log. */
  change(level: LogLevel, { forMs, by }: { readonly forMs: number; readonly by: string }): void {
    const until = this.#clock.wall() + forMs;
    const words = { from: this.level, to: level, by, until: new Date(until).toISOString() };
    this.#enter({ kind: 'changed', level, by, until }, () => this.#logger.info(words, 'log level changed'));
    this.#timer = this.#clock.after(forMs, () => this.reset('the time that was given is over'));
  }

  /** Returns to the level of the settings. `by`: who has asked for it, or why. */
  reset(by: string): void {
    if (this.#state.kind === 'configured') return;
    const words = { from: this.level, to: this.configured, by };
    this.#enter({ kind: 'configured' }, () => this.#logger.info(words, 'log level is as configured again'));
  }

  /** Cancels the timer: from now on the level does not change by itself. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #enter(state: LogLevelState, say: () => void): void {
    this.stop();
    // At info, whatever the levels before and after: a log that becomes silent says why, and so does one that was
    // silent.
    this.#logger.level = 'info';
    say();
    this.#state = state;
    this.#logger.level = this.level;
  }
}
