import { DIALECT_NAMES } from '@spanmesh/proto/dialect';
import { BusError, type KeyValue, type KvEntry, type Subscription } from '@spanmesh/runtime/bus/bus';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Logger } from '@spanmesh/runtime/log/logger';
import * as z from 'zod';
import { MAX_OPERATOR_TARGETS, STORE_RETRY_MS } from '../limits.ts';
import type { OperatorTarget, WantedTarget, WantedTargets } from './wanted-targets.ts';

const schema = z.object({ path: z.string().max(1024), dialect: z.enum([...DIALECT_NAMES, 'auto']) });
const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** Attempts of one change; an attempt fails when another replica's change of the store comes first. */
const CHANGE_ATTEMPTS = 8;

/** Why a change was not made: the limit is reached, there is no target of that name, or the store failed. */
export type OperatorTargetErrorCode = 'too-many' | 'missing' | 'store';

/** The error class of operators' targets. Compare `code`. */
export class OperatorTargetError extends Error {
  override readonly name = 'OperatorTargetError';
  readonly code: OperatorTargetErrorCode;

  constructor(code: OperatorTargetErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Operators' targets in the store. Every replica follows them, and any may change them. */
export class OperatorTargets implements WantedTargets {
  readonly #kv: KeyValue;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #known = new Map<string, WantedTarget>();
  readonly #listeners = new Set<(name: string) => void>();
  #watch: Subscription | null = null;
  #running = false;
  /** The store's targets are known. */
  loaded = false;

  constructor({ kv, clock, logger }: { kv: KeyValue; clock: Clock; logger: Logger }) {
    this.#kv = kv;
    this.#clock = clock;
    this.#logger = logger;
  }

  /**
   * Begins to follow the store. Resolves when its targets are known, or when it could not be asked (it is asked again).
   */
  async start(): Promise<void> {
    this.#running = true;
    await this.#open();
  }

  stop(): void {
    this.#running = false;
    this.#watch?.unsubscribe();
    this.#watch = null;
  }

  get size(): number {
    return this.#known.size;
  }

  all(): Iterable<WantedTarget> {
    return this.#known.values();
  }

  get(name: string): WantedTarget | undefined {
    return this.#known.get(name);
  }

  /**
   * Calls `fn` with the name of each target that is set, changed or removed, and with '' when `loaded` has become true.
   */
  onChange(fn: (name: string) => void): Subscription {
    this.#listeners.add(fn);
    return { unsubscribe: () => this.#listeners.delete(fn) };
  }

  /** Resolves when the store has the target; nothing is changed if it had it already. @throws OperatorTargetError */
  async set(target: OperatorTarget): Promise<void> {
    const { name, path, dialect } = target;
    const value = encoder.encode(JSON.stringify({ path, dialect }));
    await this.#inStore(async () => {
      const entry = await this.#kv.get(name);
      const there = entry === null ? null : decoded(entry);
      if (there !== null && there.path === path && there.dialect === dialect) return;
      if (entry === null) {
        if (this.#known.size >= MAX_OPERATOR_TARGETS) {
          throw new OperatorTargetError('too-many', `There are ${MAX_OPERATOR_TARGETS} targets already: remove some.`);
        }
        await this.#kv.create(name, value);
      } else {
        await this.#kv.update(name, value, entry.revision);
      }
    });
  }

  /** Resolves when the store does not have the target any more. @throws OperatorTargetError */
  async remove(name: string): Promise<void> {
    await this.#inStore(async () => {
      const entry = await this.#kv.get(name);
      if (entry === null) throw new OperatorTargetError('missing', `There is no operator's target ${name}.`);
      await this.#kv.delete(name, entry.revision);
    });
  }

  /** Makes a change, and repeats it when another replica was faster. */
  async #inStore(change: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await change();
        return;
      } catch (error) {
        if (error instanceof OperatorTargetError) throw error;
        const isConflict = error instanceof BusError && error.code === 'conflict';
        if (isConflict && attempt < CHANGE_ATTEMPTS) continue;
        const why = error instanceof Error ? error.message : String(error);
        throw new OperatorTargetError('store', `The target was not kept: ${why}`, { cause: error });
      }
    }
  }

  async #open(): Promise<void> {
    try {
      const watch = await this.#kv.watch((entry) => this.#note(entry));
      if (!this.#running) {
        watch.unsubscribe();
        return;
      }
      this.#watch = watch;
      this.loaded = true;
      this.#tell('');
    } catch (error) {
      if (!this.#running || (error instanceof BusError && error.code === 'closed')) return;
      this.#logger.warn({ err: error }, 'the store of targets cannot be reached; it is tried again');
      this.#clock.after(STORE_RETRY_MS, () => {
        if (this.#running && this.#watch === null) void this.#open();
      });
    }
  }

  #note(entry: KvEntry): void {
    if (!this.#running) return;
    const { key } = entry;
    const target = decoded(entry);
    if (target === null) {
      if (entry.value !== null)
        this.#logger.warn({ target: key }, 'a target in the store cannot be read; it is ignored');
      if (this.#known.delete(key)) this.#tell(key);
      return;
    }
    const known = this.#known.get(key);
    if (known?.path === target.path && known.dialect === target.dialect) return;
    this.#known.set(key, target);
    this.#tell(key);
  }

  #tell(name: string): void {
    for (const fn of this.#listeners) fn(name);
  }
}

function decoded({ key, value }: KvEntry): WantedTarget | null {
  if (value === null) return null;
  try {
    return { name: key, origin: 'operator', ...schema.parse(JSON.parse(decoder.decode(value))) };
  } catch {
    return null;
  }
}
