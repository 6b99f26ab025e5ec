import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import type { Change } from '@spanmesh/proto/v1/topology';
import { Dialect } from '@spanmesh/proto/v1/types';
import { failureOf, isServiceError } from '../api/call-failure.ts';
import { cancelWith } from '../api/cancel-with.ts';
import type { TopologyApi } from '../api/topology-api.ts';
import { Failure } from '../failure.ts';
import { printable } from '../output/printable.ts';
import { TreeAssembly } from '../views/tree-view.ts';
import { Inventory } from './inventory.ts';

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

export interface FollowOptions {
  readonly withRelays: boolean;
  /** Longest wait for the first message of a watch, in milliseconds. */
  readonly timeoutMs: number;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

export interface FollowDependencies {
  readonly api: TopologyApi;
  /** Takes each change in order; the next one waits until it is done. */
  readonly onChange: (revision: string, change: Change) => Promise<void>;
  /** Something that people may want to know; a line. */
  readonly onNote: (line: string) => void;
}

/** How a watch ended: the server wants a list first, or the stream broke. */
type Ending =
  | { readonly why: 'list again'; readonly reason: string }
  | { readonly why: 'lost'; readonly error: unknown };

/**
 * Follows the changes for ever. It lists, watches from the list's revision, and when the watch ends by itself does the
 * same again: what was missed in between is found by comparing lists, so each change is reported once, whatever happens.
 *
 * Where it is: listing → watching → (the stream broke) waiting → watching from the last revision;
 * watching → (list again) listing. Only a failure before the first watch is established, or one for good, is thrown.
 */
export class Follower {
  readonly #options: FollowOptions;
  readonly #deps: FollowDependencies;
  readonly #inventory = new Inventory();
  /** All changes up to here have been reported; null: a list is needed. */
  #revision: string | null = null;
  /** The first list and watch have worked. */
  #stood = false;
  /** Endings since the last sign of progress. */
  #failures = 0;
  /** The loss has been noted, its end has not. */
  #lossNoted = false;

  constructor(options: FollowOptions, deps: FollowDependencies) {
    this.#options = options;
    this.#deps = deps;
  }

  get #isOver(): boolean {
    return this.#options.signal?.aborted === true;
  }

  /**
   * Until the signal is aborted.
   * @throws Failure
   */
  async run(): Promise<void> {
    while (!this.#isOver) {
      try {
        this.#revision ??= await this.#list();
        const ending = await this.#watch(this.#revision);
        if (ending.why === 'lost') throw ending.error;
        this.#revision = null;
        this.#deps.onNote(`listing again: ${printable(ending.reason)}`);
        // The first time at once: a watch without a history is nothing unusual.
        if (this.#failures++ > 0) await this.#wait();
      } catch (error) {
        if (this.#isOver) return;
        await this.#afterLoss(error);
      }
    }
  }

  async #afterLoss(error: unknown): Promise<void> {
    const failure = failureOf(error, this.#deps.api.context);
    if (!(failure instanceof Failure) || !this.#stood || isFinal(failure)) throw failure;
    if (!this.#lossNoted) this.#deps.onNote(`${failure.message}; trying again`);
    this.#lossNoted = true;
    this.#failures++;
    await this.#wait();
  }

  async #wait(): Promise<void> {
    const ms = Math.min(FIRST_RETRY_MS * 2 ** (this.#failures - 1), LONGEST_RETRY_MS);
    await sleep(ms, undefined, { signal: this.#options.signal }).catch(() => {});
  }

  /** Lists everything, reports what is different from what was known, and gives the revision to watch from. */
  async #list(): Promise<string> {
    const { api } = this.#deps;
    // The revision of what is listed first: later changes come again with the watch, and are recognised.
    const connections = await api.connections({ dialect: Dialect.DIALECT_UNSPECIFIED, gateway: '' });
    const trees = new TreeAssembly();
    const request = { dialect: Dialect.DIALECT_UNSPECIFIED, clusterId: '', withRelays: this.#options.withRelays };
    for await (const part of api.tree(request)) trees.add(part);
    const changes = this.#inventory.replace({ clusters: trees.clusters, connections: connections.items });
    if (this.#stood) {
      for (const change of changes) await this.#deps.onChange(connections.revision, change);
    }
    return connections.revision;
  }

  /** Watches until the stream ends. Everything reported is in the revision kept, so a broken stream is taken up there. */
  async #watch(revision: string): Promise<Ending> {
    const { api, onChange } = this.#deps;
    const call = api.watch({ revision, withRelays: this.#options.withRelays });
    const letGo = cancelWith(call, this.#options.signal);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      call.cancel();
    }, this.#options.timeoutMs);
    try {
      for await (const message of call) {
        clearTimeout(timer);
        if (message.listAgain !== undefined) return { why: 'list again', reason: message.listAgain.reason };
        this.#progress();
        if (message.changes !== undefined) {
          for (const change of message.changes.changes) {
            const news = this.#inventory.apply(change);
            if (news !== null) await onChange(message.changes.revision, news);
          }
        }
        this.#revision = message.changes?.revision ?? message.progress?.revision ?? this.#revision;
      }
      return { why: 'lost', error: new Failure('lost', `${api.address} ended the watch`) };
    } catch (error) {
      return { why: 'lost', error: failureOf(error, { ...api.context, late }) };
    } finally {
      clearTimeout(timer);
      letGo();
      // grpc-js reports a cancelled call as an error of the stream; nobody listens any more.
      call.on('error', () => {});
      call.cancel();
    }
  }

  #progress(): void {
    this.#stood = true;
    this.#failures = 0;
    if (this.#lossNoted) this.#deps.onNote('watching again');
    this.#lossNoted = false;
  }
}

function isFinal({ cause }: Failure): boolean {
  return isServiceError(cause) && FINAL.has(cause.code);
}
