import { join } from 'node:path';
import { expect, it } from 'vitest';
import { isBound, limitKey, limitTests } from './limit-tests.ts';
import { limits } from './limits.ts';

const root = join(import.meta.dirname, '../..');

it('each limit has a test at the limit and one beyond it, marked by `// Limits:` above it', () => {
  const all = limits(root);
  const tests = limitTests(root, all);
  expect(all.filter((limit) => isBound(limit) && !tests.has(limitKey(limit))).map(limitKey)).toEqual([]);
});
