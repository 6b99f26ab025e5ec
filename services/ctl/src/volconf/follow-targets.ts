import { Target } from '@spanmesh/proto/v1/volconf';
import { Losses } from '../api/losses.ts';
import { messagesOf } from '../api/messages-of.ts';
import type { VolconfApi } from '../api/volconf-api.ts';
import { Failure } from '../failure.ts';

/** What happened: a target as it is now, or the name of one that is gone. */
export type TargetNews = { readonly target: Target } | { readonly removed: string };

export interface FollowTargetsDependencies {
  readonly api: VolconfApi;
  /** Takes each change in order; the next one waits until it is done. */
  readonly onNews: (news: TargetNews) => Promise<void>;
  /** Called with a line that people may want to know. */
  readonly onNote: (line: string) => void;
}

/**
 * Follows the targets for ever: all of them at first, then each that changes. When the watch ends it is begun again.
 * Each watch begins with all targets, so changes are found by comparing: none is reported twice or missed.
 *
 * Its course: beginning (targets come until `current`) → current (changes come) → (the stream ended) waiting →
 * beginning. Only an error before the first `current`, or one that is final, is thrown.
 */
export class TargetFollower {
  readonly #deps: FollowTargetsDependencies;
  readonly #signal: AbortSignal | undefined;
  readonly #losses: Losses;
  /** Targets that have been reported, by name, as bytes to compare. */
  readonly #known = new Map<string, string>();

  constructor({ signal }: { readonly signal?: AbortSignal }, deps: FollowTargetsDependencies) {
    this.#signal = signal;
    this.#deps = deps;
    this.#losses = new Losses({ context: deps.api.context, again: 'watching again', signal }, deps);
  }

  /**
   * Follows until the signal is aborted.
   * @throws Failure
   */
  async run(): Promise<void> {
    const losses = this.#losses;
    while (!losses.isOver) await this.#watch().catch((error: unknown) => losses.lost(error));
  }

  /** One watch, until its stream ends; always throws. */
  async #watch(): Promise<never> {
    const { api } = this.#deps;
    /** Names that have come; null once all have. */
    let beginning: Set<string> | null = new Set();
    // The time-out is for the beginning; later nothing may happen for days.
    const options = { signal: this.#signal, hurries: () => beginning !== null };
    for await (const message of messagesOf(api.watch(), api.context, options)) {
      if (message.target !== undefined) {
        beginning?.add(message.target.name);
        await this.#report(message.target);
      } else if (message.removed !== undefined) {
        await this.#forget(message.removed);
      } else if (message.current === true && beginning !== null) {
        for (const name of [...this.#known.keys()]) if (!beginning.has(name)) await this.#forget(name);
        beginning = null;
        this.#losses.worked();
      }
    }
    throw new Failure('lost', `${api.context.address} ended the watch`);
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
}
