import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isBound, limitKey, limitTests } from './limit-tests.ts';
import { limits } from './limits.ts';
import { WITHOUT_TEST } from './limits-without-test.ts';

const root = join(import.meta.dirname, '../..');
const all = limits(root);
const tests = limitTests(root, all);
const without = all.filter((limit) => isBound(limit) && !tests.has(limitKey(limit))).map(limitKey);

describe('limits', () => {
  it('have a test at the limit and one past it each: `// Limits:` above it', () => {
    expect(without.filter((key) => !WITHOUT_TEST.includes(key))).toEqual([]);
  });

  it('are not listed as without once they have one', () => {
    expect(WITHOUT_TEST.filter((key) => !without.includes(key))).toEqual([]);
  });
});
