import { BusError, type KeyValue } from '@spanmesh/runtime/bus/bus';
import { InProcessBus } from '@spanmesh/runtime/bus/in-process/in-process-bus';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_OPERATOR_TARGETS, STORE_RETRY_MS } from '../limits.ts';
import { OperatorTargets } from './operator-targets.ts';

const bus = new InProcessBus({
  onError: (error) => {
    throw error;
  },
});
let bucket = 0;
const stores: OperatorTargets[] = [];
afterEach(() => {
  for (const one of stores.splice(0)) one.stop();
});

const turn = () => new Promise((resolve) => setImmediate(resolve));
const encoded = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/**
 * Operators' targets in a store of their own; `faults`: functions that the store calls once each instead of an
 * operation.
 */
async function open({ kv = undefined as KeyValue | undefined, isStarted = true } = {}) {
  const inner = kv ?? (await bus.kv(`targets-${bucket++}`));
  const faults: Partial<Record<'get' | 'create' | 'update' | 'delete' | 'watch', (() => Promise<never>)[]>> = {};
  const meet = <T>(call: keyof typeof faults, run: () => Promise<T>): Promise<T> => faults[call]?.shift()?.() ?? run();
  const faulty: KeyValue = {
    get: (key) => meet('get', () => inner.get(key)),
    put: (key, value) => inner.put(key, value),
    create: (key, value) => meet('create', () => inner.create(key, value)),
    update: (key, value, revision) => meet('update', () => inner.update(key, value, revision)),
    delete: (key, revision) => meet('delete', () => inner.delete(key, revision)),
    keys: () => inner.keys(),
    watch: (fn, key) => meet('watch', () => inner.watch(fn, key)),
  };
  const clock = new FakeClock();
  const log: { msg: string }[] = [];
  const destination = { write: (line: string) => void log.push(JSON.parse(line)) };
  const logger = createLogger({ level: 'info', service: 'test', destination });
  const targets = new OperatorTargets({ kv: faulty, clock, logger });
  stores.push(targets);
  const told: string[] = [];
  const subscription = targets.onChange((name) => told.push(name));
  if (isStarted) await targets.start();
  const messages = () => log.map(({ msg }) => msg);
  return { targets, kv: inner, faults, clock, messages, told, subscription };
}

const conflict = () => Promise.reject(new BusError('conflict', 'somebody was faster'));
const away = () => Promise.reject(new BusError('unavailable', 'no server'));
const FAR = { name: 'far', path: 'span:host', dialect: 'auto' } as const;

describe('operators’ targets', () => {
  it('are those in the store, at the start and after changes', async () => {
    const { targets, kv, told, subscription } = await open();
    expect([targets.loaded, told, targets.size]).toEqual([true, [''], 0]);
    await targets.set(FAR);
    await turn();
    const known = targets.get('far');
    expect(known).toEqual({ ...FAR, origin: 'operator' });
    expect([...targets.all()]).toEqual([known]);
    // Another replica that starts later.
    const other = await open({ kv });
    expect([other.told, other.targets.size]).toEqual([['far', ''], 1]);
    // Writing the same value again keeps the object.
    await kv.put('far', encoded({ path: 'span:host', dialect: 'auto' }));
    await turn();
    expect(targets.get('far')).toBe(known);
    for (const change of [{ path: 'span:other' }, { path: 'span:other', dialect: 'linkid' as const }]) {
      await targets.set({ ...FAR, ...change });
      await turn();
      expect(targets.get('far')).toMatchObject(change);
    }
    await targets.remove('far');
    await turn();
    expect([targets.get('far'), targets.size, told]).toEqual([undefined, 0, ['', 'far', 'far', 'far', 'far']]);
    subscription.unsubscribe();
    await targets.set(FAR);
    await turn();
    expect([told.length, other.told.length]).toEqual([5, 6]);
  });

  it('that are set to their present values change nothing in the store', async () => {
    const { targets, kv } = await open();
    await targets.set(FAR);
    const before = await kv.get('far');
    await targets.set(FAR);
    expect((await kv.get('far'))!.revision).toBe(before!.revision);
    await targets.set({ ...FAR, dialect: 'circuit' });
    expect((await kv.get('far'))!.revision).toBeGreaterThan(before!.revision);
  });

  it('that cannot be read are ignored, and logged; they can be set again', async () => {
    const { targets, kv, messages, told } = await open();
    await targets.set(FAR);
    await turn();
    for (const value of [encoded({ path: 5, dialect: 'auto' }), encoded({ path: 'span:a' }), new Uint8Array([1])]) {
      await kv.put('far', value);
      await turn();
    }
    expect([targets.size, told]).toEqual([0, ['', 'far', 'far']]);
    expect(messages()).toEqual(Array(3).fill('a target in the store cannot be read; it is ignored'));
    await targets.set(FAR);
    await turn();
    expect(targets.size).toBe(1);
    await kv.put('far', encoded({ path: `span:${'x'.repeat(1024)}`, dialect: 'auto' }));
    await turn();
    expect(targets.size).toBe(0);
    // A deletion is no unreadable value.
    const lines = messages().length;
    await kv.delete('far');
    await turn();
    expect(messages()).toHaveLength(lines);
  });

  it('that do not exist cannot be removed', async () => {
    const { targets } = await open();
    await expect(targets.remove('far')).rejects.toMatchObject({ name: 'OperatorTargetError', code: 'missing' });
  });

  // Limits: volconf/src/limits.ts MAX_OPERATOR_TARGETS
  it('are limited in number; existing ones can still be changed', async () => {
    const { targets, kv } = await open();
    const value = encoded({ path: 'span:host', dialect: 'auto' });
    for (let i = 0; i < MAX_OPERATOR_TARGETS - 1; i++) await kv.put(`t${i}`, value);
    await turn();
    await targets.set(FAR);
    await turn();
    expect(targets.size).toBe(MAX_OPERATOR_TARGETS);
    await expect(targets.set({ ...FAR, name: 'further' })).rejects.toMatchObject({ code: 'too-many' });
    await targets.set({ ...FAR, path: 'span:other' });
    await targets.remove('t0');
    await turn();
    await targets.set({ ...FAR, name: 'further' });
    await turn();
    expect(targets.size).toBe(MAX_OPERATOR_TARGETS);
  });
});

describe('a change in the store', () => {
  it('is repeated up to seven times when another replica was faster', async () => {
    const { targets, faults, kv } = await open();
    faults.create = Array(7).fill(conflict);
    await targets.set(FAR);
    expect(await kv.get('far')).not.toBeNull();
    faults.update = Array(8).fill(conflict);
    const other = { ...FAR, path: 'span:other' };
    await expect(targets.set(other)).rejects.toMatchObject({
      code: 'store',
      message: 'The target was not kept: somebody was faster',
    });
    expect(faults.update).toEqual([]);
    faults.delete = [conflict];
    await targets.remove('far');
    expect((await kv.get('far'))?.value ?? null).toBeNull();
  });

  it('that fails in the store is not repeated, because its outcome is unknown', async () => {
    const { targets, faults } = await open();
    faults.create = [away];
    await expect(targets.set(FAR)).rejects.toMatchObject({ code: 'store', cause: { code: 'unavailable' } });
    faults.get = [() => Promise.reject(new Error('odd'))];
    await expect(targets.remove('far')).rejects.toMatchObject({ message: 'The target was not kept: odd' });
  });
});

describe('a store that is away', () => {
  it('is asked again every second; its targets count as soon as it answers', async () => {
    const { targets, faults, clock, messages, told } = await open({ isStarted: false });
    faults.watch = [away, away];
    await targets.start();
    expect([targets.loaded, told]).toEqual([false, []]);
    expect(messages()).toEqual(['the store of targets cannot be reached; it is tried again']);
    clock.advance(STORE_RETRY_MS - 1);
    await turn();
    expect(faults.watch).toHaveLength(1);
    clock.advance(1);
    await turn();
    expect([faults.watch.length, targets.loaded]).toEqual([0, false]);
    clock.advance(STORE_RETRY_MS);
    await turn();
    expect([targets.loaded, told]).toEqual([true, ['']]);
    clock.advance(10 * STORE_RETRY_MS);
    expect(clock.pending).toBe(0);
  });

  it('is not asked again after `stop` or when it is closed', async () => {
    const closed = await open({ isStarted: false });
    closed.faults.watch = [() => Promise.reject(new BusError('closed', 'closed'))];
    await closed.targets.start();
    expect([closed.clock.pending, closed.messages()]).toEqual([0, []]);
    const stopped = await open({ isStarted: false });
    stopped.faults.watch = [away];
    await stopped.targets.start();
    stopped.targets.stop();
    stopped.clock.advance(STORE_RETRY_MS);
    await turn();
    expect(stopped.targets.loaded).toBe(false);
  });

  it('and returns after `stop` causes no reports', async () => {
    const { targets, faults, kv, told } = await open({ isStarted: false });
    let opened = (): void => {};
    faults.watch = [
      () =>
        new Promise<never>((_, reject) => {
          opened = () => reject(new BusError('unavailable', 'no server'));
        }),
    ];
    const started = targets.start();
    targets.stop();
    opened();
    await started;
    expect(targets.loaded).toBe(false);
    const late = await open({ kv, isStarted: false });
    const starting = late.targets.start();
    late.targets.stop();
    await starting;
    expect([late.targets.loaded, late.told]).toEqual([false, []]);
    await kv.put('far', encoded({ path: 'span:host', dialect: 'auto' }));
    await turn();
    expect([late.targets.size, told, late.told]).toEqual([0, [], []]);
  });
});

it('after `stop` targets report nothing, and the store has no watch', async () => {
  let watches = 0;
  const store = await bus.kv(`targets-${bucket++}`);
  const watch: KeyValue['watch'] = async (fn, key) => {
    const inner = await store.watch(fn, key);
    watches++;
    return {
      unsubscribe: () => {
        watches--;
        inner.unsubscribe();
      },
    };
  };
  const { targets, kv, told } = await open({
    kv: {
      ...store,
      watch,
      put: (key: string, value: Uint8Array) => store.put(key, value),
    } as unknown as KeyValue,
  });
  expect(watches).toBe(1);
  targets.stop();
  targets.stop();
  expect(watches).toBe(0);
  await kv.put('far', encoded({ path: 'span:host', dialect: 'auto' }));
  await turn();
  expect([targets.size, told]).toEqual([0, ['']]);
});
