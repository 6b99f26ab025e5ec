import { beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import { settle } from '../fake-time.fixture.ts';
import { BusError, type KvEntry, type Subscription } from './bus.ts';
import { InProcessKeyValue } from './in-process/in-process-kv.ts';
import { LastingWatch } from './lasting-watch.ts';

/** A bucket whose watches are opened when the test says so. */
class FakeBucket extends InProcessKeyValue {
  /** Watches that were asked for, with their keys. */
  readonly asked: (string | undefined)[] = [];
  /** Watches that are open. */
  open = 0;
  answer: Promise<unknown> = Promise.resolve();

  override async watch(fn: (entry: KvEntry) => void, key?: string): Promise<Subscription> {
    this.asked.push(key);
    await this.answer;
    const watch = await super.watch(fn, key);
    this.open++;
    return {
      unsubscribe: () => {
        this.open--;
        watch.unsubscribe();
      },
    };
  }
}

describe('a watch that lasts', () => {
  let kv: FakeBucket;
  let clock: FakeClock;
  let told: string[];
  let watch: LastingWatch;
  beforeEach(async () => {
    kv = new FakeBucket({ onError: (error) => expect.unreachable(String(error)) });
    clock = new FakeClock();
    told = [];
    watch = new LastingWatch({
      kv,
      key: 'a',
      clock,
      note: ({ key, revision }) => told.push(`${key} ${revision}`),
      opened: () => told.push('opened'),
    });
    await kv.put('a', new Uint8Array());
    await kv.put('b', new Uint8Array());
  });

  it('tells the entries of its key, then that it is open, then changes, until it is stopped', async () => {
    await watch.start();
    expect([told.splice(0), kv.asked, clock.pending]).toEqual([['a 1', 'opened'], ['a'], 0]);
    await kv.put('a', new Uint8Array());
    await settle();
    expect(told.splice(0)).toEqual(['a 3']);
    watch.stop();
    watch.stop();
    await kv.put('a', new Uint8Array());
    await settle();
    expect([told, kv.open]).toEqual([[], 0]);
  });

  it('is tried again a second later when it cannot be opened', async () => {
    kv.answer = Promise.reject(new BusError('unavailable', 'away'));
    await watch.start();
    expect([told, clock.pending, clock.nextAt()]).toEqual([[], 1, 1000]);
    kv.answer = Promise.resolve();
    clock.advance(1000);
    await settle();
    expect([told, kv.asked.length, clock.pending]).toEqual([['a 1', 'opened'], 2, 0]);
  });

  it('is not tried again when it is stopped, or the bus is closed', async () => {
    kv.answer = Promise.reject(new Error('away'));
    await watch.start();
    watch.stop();
    clock.advance(1000);
    await settle();
    expect([kv.asked.length, clock.pending]).toEqual([1, 0]);
    const stopped = watch.start();
    watch.stop();
    await stopped;
    expect([kv.asked.length, clock.pending]).toEqual([2, 0]);
    kv.answer = Promise.reject(new BusError('closed', 'the bus is closed'));
    await watch.start();
    expect([kv.asked.length, clock.pending, told]).toEqual([3, 0, []]);
  });

  it('that is stopped while it is opened is closed at once, and tells nothing', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    kv.answer = promise;
    const started = watch.start();
    watch.stop();
    resolve();
    await started;
    expect([told, kv.open, kv.asked.length]).toEqual([[], 0, 1]);
  });

  it('is opened once, however often it is tried', async () => {
    kv.answer = Promise.reject(new Error('away'));
    await watch.start();
    kv.answer = Promise.resolve();
    await watch.start();
    clock.advance(1000);
    await settle();
    expect([kv.open, kv.asked.length]).toEqual([1, 2]);
  });
});
