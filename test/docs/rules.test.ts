import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const ROW = /^\| (.+?) \| `([^`]+\.test\.ts)` \| (.+?) \|$/gm;

describe.each([
  ['the rules of the control plane', 'docs/architecture.md'],
  ['what has gone wrong', 'docs/testing.md'],
])('%s, in %s', (_, page) => {
  const rows = [...readFileSync(join(root, page), 'utf8').matchAll(ROW)];

  it('is there', () => expect(rows.length).toBeGreaterThanOrEqual(20));

  it.each(rows.map(([, rule, file, test]) => ({ rule, file: file!, test: test! })))('$rule', ({ file, test }) => {
    const titles = [
      ...readFileSync(join(root, file), 'utf8').matchAll(
        /\b(?:it|describe)(?:\.each[^(]*\([\s\S]*?\))?\(\s*(['`])(.*?)\1/g,
      ),
    ];
    expect(titles.map(([, , title]) => title).join('\n')).toContain(test);
  });
});
