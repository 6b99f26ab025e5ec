import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { Target, type WatchTargetsResponse } from '@spanmesh/proto/v1/volconf';
import { failureOf, isServiceError } from '../api/call-failure.ts';
import { cancelWith } from '../api/cancel-with.ts';
import type { VolconfApi } from '../api/volconf-api.ts';
import { Failure } from '../failure.ts';

/** First and longest wait before another attempt, in milliseconds. */
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5000;

/** Answers that will not change by asking again. */
const FINAL = new Set<number>([
  status.UNIMPLEMENTED,
  status.INVALID_ARGUMENT,
  status.PERMISSION_DENIED,
  status.UNAUTHENTICATED,
]);

/** What happened: a target as it is now, or the name of one that is gone. */
export type TargetNews = { readonly target: Target } | { readonly removed: string };

export interface FollowTargetsDependencies {
  readonly api: VolconfApi;
  /** Takes each change in order; the next one waits until it is done. */
  readonly onNews: (news: TargetNews) => Promise<void>;
  /** Something that people may want to know; a line. */
  readonly onNote: (line: string) => void;
}

/**
 * Follows the targets for ever: all of them at first, then the ones that change. When the watch ends by itself it begins again;
 * each watch begins with all targets, so what is new is found by comparing, and nothing is reported twice or missed.
 *
 * Where it is: beginning (targets come until `current`) → current (changes come) → (the stream ended) waiting → beginning.
 * Only what fails before the first `current`, or for good, is thrown.
 */
export class TargetFollower {
  readonly #deps: FollowTargetsDependencies;
  readonly #signal: AbortSignal | undefined;
  /** Targets that have been reported, by name, as bytes to compare. */
  readonly #known = new Map<string, string>();
  #stood = false;
  #failures = 0;
  #lossNoted = false;

  constructor({ signal }: { readonly signal?: AbortSignal }, deps: FollowTargetsDependencies) {
    this.#signal = signal;
    this.#deps = deps;
  }

  /**
   * Until the signal is aborted.
   * @throws Failure
   */
  async run(): Promise<void> {
    while (!this.#isOver) {
      try {
        await this.#watch();
      } catch (error) {
        if (this.#isOver) return;
        if (!(error instanceof Failure) || !this.#stood || isFinal(error)) throw error;
        if (!this.#lossNoted) this.#deps.onNote(`${error.message}; trying again`);
        this.#lossNoted = true;
        const ms = Math.min(FIRST_RETRY_MS * 2 ** this.#failures++, LONGEST_RETRY_MS);
        await sleep(ms, undefined, { signal: this.#signal }).catch(() => {});
      }
    }
  }

  get #isOver(): boolean {
    return this.#signal?.aborted === true;
  }

  /** One watch, until its stream ends; always throws. */
  async #watch(): Promise<never> {
    const { api } = this.#deps;
    const call = api.watch();
    const letGo = cancelWith(call, this.#signal);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      call.cancel();
    }, api.context.timeoutMs);
    /** Names that have come; null once all have. */
    let beginning: Set<string> | null = new Set();
    try {
      for await (const message of call as AsyncIterable<WatchTargetsResponse>) {
        timer.refresh();
        if (message.target !== undefined) {
          beginning?.add(message.target.name);
          await this.#report(message.target);
        } else if (message.removed !== undefined) {
          await this.#forget(message.removed);
        } else if (message.current === true && beginning !== null) {
          clearTimeout(timer);
          for (const name of [...this.#known.keys()]) if (!beginning.has(name)) await this.#forget(name);
          beginning = null;
          this.#isCurrent();
        }
        // The time-out is for the beginning; later nothing may happen for days.
        if (beginning === null) clearTimeout(timer);
      }
      throw new Failure('lost', `${api.context.address} ended the watch`);
    } catch (error) {
      throw failureOf(error, { ...api.context, late });
    } finally {
      clearTimeout(timer);
      letGo();
      // grpc-js reports a cancelled call as an error of the stream; nobody listens any more.
      call.on('error', () => {});
      call.cancel();
    }
  }

  async #report(target: Target): Promise<void> {
    const bytes = Buffer.from(Target.encode(target).finish()).toString('latin1');
    if (this.#known.get(target.name) === bytes) return;
    this.#known.set(target.name, bytes);
    await this.#deps.onNews({ target });
  }

  async #forget(name: string): Promise<void> {
    if (this.#known.delete(name)) await this.#deps.onNews({ removed: name });
  }

  #isCurrent(): void {
    this.#stood = true;
    this.#failures = 0;
    if (this.#lossNoted) this.#deps.onNote('watching again');
    this.#lossNoted = false;
  }
}

function isFinal({ cause }: Failure): boolean {
  return isServiceError(cause) && FINAL.has(cause.code);
}
