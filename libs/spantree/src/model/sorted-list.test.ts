import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SortedList } from './sorted-list.ts';

it('a sorted list has what there is, in order, whatever comes and goes; what was read stays as it was', () => {
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
