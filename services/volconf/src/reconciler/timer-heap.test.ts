import { FakeClock } from '@spanmesh/runtime/fake-clock';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Timed, TimerHeap } from './timer-heap.ts';

interface Entry extends Timed {
  readonly name: number;
}

function heap(quantumMs = 1) {
  const clock = new FakeClock();
  const fired: [number, number][] = [];
  const made = new TimerHeap<Entry>({ quantumMs }, { clock, due: ({ name }) => void fired.push([name, clock.now()]) });
  const entry = (name: number): Entry => ({ name, heapIndex: -1, heapAt: 0 });
  return { clock, fired, heap: made, entry };
}

describe('a timer heap', () => {
  it('makes each entry due at its own time, in order, whatever was set, moved and removed before', () => {
    const change = fc.record({ entry: fc.nat(29), at: fc.integer({ min: -10, max: 50 }) });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 120, size: 'max' }), (changes) => {
        const { clock, fired, heap: timers, entry } = heap();
        const entries = Array.from({ length: 30 }, (_, name) => entry(name));
        const due = new Map<number, number>();
        for (const { entry: name, at } of changes) {
          if (at < 0) {
            timers.remove(entries[name]!);
            due.delete(name);
          } else {
            timers.set(entries[name]!, at);
            due.set(name, at);
          }
          expect(timers.size).toBe(due.size);
        }
        for (let ms = 0; ms <= 51; ms++) clock.advance(1);
        expect(new Map(fired.map(([name, at]) => [name, at]))).toEqual(due);
        expect(fired.map(([, at]) => at)).toEqual(fired.map(([, at]) => at).toSorted((a, b) => a - b));
        expect([timers.size, clock.nextAt()]).toEqual([0, null]);
      }),
    );
  });

  it('wakes once for entries that are close to each other, late by a quantum at most', () => {
    const { clock, fired, heap: timers, entry } = heap(20);
    timers.set(entry(1), 21);
    timers.set(entry(2), 39);
    expect(clock.nextAt()).toBe(40);
    clock.advance(40);
    expect(fired).toEqual([
      [1, 40],
      [2, 40],
    ]);
  });

  it('sets the clock’s timer again only for an entry that is due sooner', () => {
    const { clock, fired, heap: timers, entry } = heap(10);
    let asked = 0;
    const after = clock.after.bind(clock);
    clock.after = (ms, fn) => {
      asked++;
      return after(ms, fn);
    };
    const [one, two, three] = [entry(1), entry(2), entry(3)];
    timers.set(one, 30);
    timers.set(two, 30);
    timers.set(three, 95);
    expect(asked).toBe(1);
    timers.set(three, 15);
    expect([asked, clock.pending, clock.nextAt()]).toEqual([2, 1, 20]);
    clock.advance(30);
    expect([fired.map(([name]) => name).toSorted(), clock.pending]).toEqual([[1, 2, 3], 0]);
    timers.set(one, 40);
    timers.clear();
    timers.set(two, 60);
    expect([asked, clock.nextAt()]).toEqual([5, 60]);
  });

  it('has no timer once it is cleared', () => {
    const { clock, fired, heap: timers, entry } = heap();
    const one = entry(1);
    timers.set(one, 5);
    timers.clear();
    expect([timers.size, one.heapIndex, clock.nextAt()]).toEqual([0, -1, null]);
    timers.set(one, 7);
    clock.advance(7);
    expect(fired).toEqual([[1, 7]]);
  });
});
