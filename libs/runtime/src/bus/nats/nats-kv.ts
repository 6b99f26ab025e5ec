import { headers } from 'nats';
import type { Clock } from '../../clock.ts';
import { BusError, type KeyValue, type KvEntry, type Subscription } from '../bus.ts';
import { checkKey, checkSize } from '../bus-subjects.ts';
import { jetStreamError } from './jetstream-errors.ts';
import { isDeleted, KV_OPERATION } from './kv-operation.ts';
import { NatsWatch } from './nats-kv-watch.ts';
import type { NatsLink } from './nats-link.ts';
import { JETSTREAM_MS, type NatsStream } from './nats-stream.ts';

/** Header of the message that marks a key as deleted. */
export const DELETED = 'DEL';
const EMPTY = new Uint8Array(0);

export interface NatsKvDependencies {
  readonly link: NatsLink;
  readonly clock: Clock;
  readonly onError: (error: unknown, where: string) => void;
}

/**
 * A bucket of JetStream in the form that all NATS clients use, so that others can read and write it. The library's own
 * `KV` is not used: it takes a missing bucket for an empty one, and its watch needs ten seconds to notice that its
 * server has changed.
 */
export class NatsKeyValue implements KeyValue {
  readonly #stream: NatsStream;
  readonly #deps: NatsKvDependencies;
  readonly #watches = new Set<NatsWatch>();

  constructor(stream: NatsStream, deps: NatsKvDependencies) {
    this.#stream = stream;
    this.#deps = deps;
  }

  async get(key: string): Promise<KvEntry | null> {
    this.#check(key);
    const entry = await this.#last(key);
    return entry === null || entry.value === null ? null : entry;
  }

  async put(key: string, value: Uint8Array): Promise<number> {
    this.#check(key, value);
    return this.#publish(key, value);
  }

  async create(key: string, value: Uint8Array): Promise<number> {
    this.#check(key, value);
    try {
      return await this.#publish(key, value, { revision: 0 });
    } catch (error) {
      if (!(error instanceof BusError && error.code === 'conflict')) throw error;
      // For `create`, a deleted key is as good as one that never had a value.
      const last = await this.#last(key);
      if (last === null || last.value !== null) throw error;
      return this.#publish(key, value, { revision: last.revision });
    }
  }

  async update(key: string, value: Uint8Array, revision: number): Promise<number> {
    this.#check(key, value);
    return this.#publish(key, value, { revision });
  }

  async delete(key: string, revision?: number): Promise<void> {
    this.#check(key);
    await this.#publish(key, EMPTY, { operation: DELETED, ...(revision !== undefined && { revision }) });
  }

  async keys(): Promise<string[]> {
    const keys: string[] = [];
    const watch = await this.watch(({ key }) => keys.push(key));
    watch.unsubscribe();
    return keys;
  }

  async watch(fn: (entry: KvEntry) => void, key?: string): Promise<Subscription> {
    this.#deps.link.checkOpen();
    if (key !== undefined) checkKey(key);
    const watch: NatsWatch = new NatsWatch(fn, {
      ...this.#deps,
      stream: this.#stream,
      keys: key ?? '>',
      onEnd: () => this.#watches.delete(watch),
    });
    this.#watches.add(watch);
    await watch.start();
    return { unsubscribe: () => watch.end() };
  }

  close(): void {
    for (const watch of [...this.#watches]) watch.end();
  }

  /** The last change of a key, which may be a deletion; null: there has been none. */
  async #last(key: string): Promise<KvEntry | null> {
    await this.#stream.open();
    return this.#stream.ask(async ({ manager }) => {
      try {
        const { header, data, seq } = await manager.streams.getMessage(this.#stream.name, {
          last_by_subj: this.#stream.subject(key),
        });
        return { key, value: isDeleted(header) ? null : data, revision: seq };
      } catch (error) {
        if (jetStreamError(error).meaning === 'no-message') return null;
        throw error;
      }
    });
  }

  /** Publishes a change. `revision`: only if that is the key's last change; 0: only if it has none. */
  async #publish(
    key: string,
    value: Uint8Array,
    { revision, operation }: { revision?: number; operation?: string } = {},
  ): Promise<number> {
    await this.#stream.open();
    const { seq } = await this.#stream.ask(({ jetstream }) => {
      const said = headers();
      if (operation !== undefined) said.set(KV_OPERATION, operation);
      return jetstream.publish(this.#stream.subject(key), value, {
        headers: said,
        timeout: JETSTREAM_MS,
        expect: { ...(revision !== undefined && { lastSubjectSequence: revision }) },
      });
    });
    return seq;
  }

  #check(key: string, value: Uint8Array = EMPTY): void {
    this.#deps.link.checkOpen();
    checkKey(key);
    checkSize(value);
  }
}
