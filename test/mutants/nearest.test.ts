import { expect, it } from 'vitest';
import { distance } from './nearest.ts';

it('the test beside a changed file is the nearest, then those in its folder, then those of the folders around', () => {
  const tests = [
    '/p/src/b/c/x.test.ts',
    '/p/src/a.test.ts',
    '/p/src/a/a.test.ts',
    '/p/src/a/b/x.test.ts',
    '/p/src/a/x.test.ts',
  ];
  const far = new Map(tests.map((test) => [test, distance('/p/src/a/x.ts', test)]));
  expect([...far].sort((a, b) => a[1] - b[1])).toEqual([
    ['/p/src/a/x.test.ts', 0],
    ['/p/src/a/a.test.ts', 1],
    ['/p/src/a.test.ts', 2],
    ['/p/src/a/b/x.test.ts', 2],
    ['/p/src/b/c/x.test.ts', 4],
  ]);
});
