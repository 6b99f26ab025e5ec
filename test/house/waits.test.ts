import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');

// CONTRIBUTING.md, "Habits".
it('tests wait with eventually, until, or expect.poll', () => {
  const files = globSync(['{libs,services}/*/src/**/*.ts', 'test/**/*.ts'], { cwd: root }).filter(
    (file) => !file.includes('node_modules'),
  );
  const others = files.filter((file) => /\bvi\.wait(?:For|Until)\(/.test(readFileSync(join(root, file), 'utf8')));
  expect(others).toEqual([]);
  expect(files.length).toBeGreaterThan(1000);
});
