import type { Clock } from '../../clock.ts';
import { BusError, type KeyValue, type KvEntry, type Subscription } from '../bus.ts';

/**
 * What happens to one call, in tests.
 *   ok     answered at once
 *   fail   refused as unavailable, without effect
 *   lost   takes effect, but the answer never comes: outcome unknown
 *   mute   no effect, and no answer
 *   slow   takes effect after `delayMs`, and is answered after as much again
 *   late   like lost, and takes effect after `delayMs`
 */
export type Fate = { kind: 'ok' | 'fail' | 'lost' | 'mute' } | { kind: 'slow' | 'late'; delayMs: number };

/** A KeyValue on which each get, create, update, put and delete meets a fate, for which `next` is asked. */
export class FaultyKv implements KeyValue {
  readonly #inner: KeyValue;
  readonly #clock: Clock;
  readonly #next: () => Fate;

  constructor(inner: KeyValue, { clock, next }: { clock: Clock; next: () => Fate }) {
    this.#inner = inner;
    this.#clock = clock;
    this.#next = next;
  }

  get(key: string): Promise<KvEntry | null> {
    return this.#meet(() => this.#inner.get(key));
  }

  put(key: string, value: Uint8Array): Promise<number> {
    return this.#meet(() => this.#inner.put(key, value));
  }

  create(key: string, value: Uint8Array): Promise<number> {
    return this.#meet(() => this.#inner.create(key, value));
  }

  update(key: string, value: Uint8Array, revision: number): Promise<number> {
    return this.#meet(() => this.#inner.update(key, value, revision));
  }

  delete(key: string, revision?: number): Promise<void> {
    return this.#meet(() => this.#inner.delete(key, revision));
  }

  keys(): Promise<string[]> {
    return this.#inner.keys();
  }

  watch(fn: (entry: KvEntry) => void, key?: string): Promise<Subscription> {
    return this.#inner.watch(fn, key);
  }

  async #meet<T>(call: () => Promise<T>): Promise<T> {
    const fate = this.#next();
    switch (fate.kind) {
      case 'ok':
        return call();
      case 'fail':
        throw new BusError('unavailable', 'no server');
      case 'lost':
        await call().catch(() => {});
        return new Promise<never>(() => {});
      case 'mute':
        return new Promise<never>(() => {});
      case 'slow': {
        await this.#wait(fate.delayMs);
        const result = await call();
        await this.#wait(fate.delayMs);
        return result;
      }
      case 'late':
        await this.#wait(fate.delayMs);
        await call().catch(() => {});
        return new Promise<never>(() => {});
    }
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.after(ms, resolve);
    });
  }
}
