import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SortedList } from './sorted-list.ts';

it('a sorted list has all values in order, whatever comes and goes; an array that was read does not change', () => {
  const change = fc.record({ value: fc.nat(200), times: fc.integer({ min: 1, max: 60 }), reads: fc.boolean() });
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const values = new Set<number>();
      const list = new SortedList<number>(
        () => values,
        (a, b) => a - b,
      );
      for (const { value, times, reads } of changes) {
        const before = list.all;
        const copy = [...before];
        for (let i = 0; i < times; i++) {
          const one = (value + i * 7) % 200;
          if (values.delete(one)) list.removed(one);
          else {
            values.add(one);
            list.added(one);
          }
        }
        expect(before).toEqual(copy);
        if (reads) expect(list.all).toEqual([...values].sort((a, b) => a - b));
      }
      expect(list.all).toEqual([...values].sort((a, b) => a - b));
    }),
  );
});

it('a sorted list is sorted anew when it is read after more than 32 changes, and otherwise patched', () => {
  const values = new Set<number>();
  let sorts = 0;
  const list = new SortedList<number>(
    () => {
      sorts++;
      return values;
    },
    (a, b) => a - b,
  );
  const readAfter = (changes: number): number => {
    const before = sorts;
    for (let i = 0; i < changes; i++) {
      if (values.delete(i)) list.removed(i);
      else {
        values.add(i);
        list.added(i);
      }
    }
    expect(list.all).toEqual([...values].sort((a, b) => a - b));
    return sorts - before;
  };
  expect([0, 32, 0, 32, 33, 32, 1].map(readAfter)).toEqual([1, 0, 0, 0, 1, 0, 0]);
});
