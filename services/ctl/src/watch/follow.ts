import type { Change } from '@spanmesh/proto/v1/topology';
import { Dialect } from '@spanmesh/proto/v1/types';
import { Losses } from '../api/losses.ts';
import { messagesOf } from '../api/messages-of.ts';
import type { TopologyApi } from '../api/topology-api.ts';
import { Failure } from '../failure.ts';
import { printable } from '../output/printable.ts';
import { TreeAssembly } from '../views/tree-view.ts';
import { Inventory } from './inventory.ts';

export interface FollowOptions {
  readonly withRelays: boolean;
  /** Longest wait for the first message of a watch, in milliseconds. */
  readonly timeoutMs: number;
  /** Ends the following of changes. */
  readonly signal?: AbortSignal;
}

export interface FollowDependencies {
  readonly api: TopologyApi;
  /** Takes each change in order; the next one waits until it is done. */
  readonly onChange: (revision: string, change: Change) => Promise<void>;
  /** Called with a line that people may want to know. */
  readonly onNote: (line: string) => void;
}

/**
 * Follows the changes for ever. It lists, watches from the list's revision, and repeats both when the server wants a
 * new list. Changes missed in between are found by comparing lists, so each change is reported once, whatever happens.
 *
 * Its course: listing → watching → (the stream broke) waiting → watching from the last revision; watching → (list
 * again) listing. Only an error before the first watch is established, or a final one, is thrown.
 */
export class Follower {
  readonly #options: FollowOptions;
  readonly #deps: FollowDependencies;
  readonly #inventory = new Inventory();
  /** All changes up to here have been reported; null: a list is needed. */
  #revision: string | null = null;
  readonly #losses: Losses;

  constructor(options: FollowOptions, deps: FollowDependencies) {
    this.#options = options;
    this.#deps = deps;
    const { context } = deps.api;
    this.#losses = new Losses({ context, again: 'watching again', signal: options.signal }, deps);
  }

  /**
   * Follows until the signal is aborted.
   * @throws Failure
   */
  async run(): Promise<void> {
    while (!this.#losses.isOver) {
      try {
        this.#revision ??= await this.#list();
        const reason = await this.#watch(this.#revision);
        this.#revision = null;
        this.#deps.onNote(`listing again: ${printable(reason)}`);
        // A watch without a history is nothing unusual.
        await this.#losses.anew();
      } catch (error) {
        await this.#losses.lost(error);
      }
    }
  }

  /** Lists everything, reports what is different from what was known, and gives the revision to watch from. */
  async #list(): Promise<string> {
    const { api } = this.#deps;
    // The revision of the first list: the watch repeats later changes, and they are recognised.
    const connections = await api.connections({ dialect: Dialect.DIALECT_UNSPECIFIED, gateway: '' });
    const trees = new TreeAssembly();
    const request = { dialect: Dialect.DIALECT_UNSPECIFIED, clusterId: '', withRelays: this.#options.withRelays };
    for await (const part of api.tree(request)) trees.add(part);
    const changes = this.#inventory.replace({ clusters: trees.clusters, connections: connections.items });
    if (this.#losses.hasWorked) {
      for (const change of changes) await this.#deps.onChange(connections.revision, change);
    }
    return connections.revision;
  }

  /**
   * Watches until the server wants a list first, and gives its reason. The revision that is kept covers all that was
   * reported, so a broken stream is taken up there.
   * @throws Failure: the stream broke, or has ended.
   */
  async #watch(revision: string): Promise<string> {
    const { api, onChange } = this.#deps;
    const { signal, timeoutMs, withRelays } = this.#options;
    const call = api.watch({ revision, withRelays });
    for await (const message of messagesOf(call, { ...api.context, timeoutMs }, { signal })) {
      if (message.listAgain !== undefined) return message.listAgain.reason;
      this.#losses.worked();
      if (message.changes !== undefined) {
        for (const change of message.changes.changes) {
          const news = this.#inventory.apply(change);
          if (news !== null) await onChange(message.changes.revision, news);
        }
      }
      this.#revision = message.changes?.revision ?? message.progress?.revision ?? this.#revision;
    }
    throw new Failure('lost', `${api.address} ended the watch`);
  }
}
