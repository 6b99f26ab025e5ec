import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ATTACKS } from '../attack/attacks.ts';

const root = join(import.meta.dirname, '../..');
const ROW = /^\| (.+?) \| `([^`]+\.test\.ts)` \| (.+?) \|$/gm;

describe.each([
  { what: 'the rules of the control plane', page: 'docs/architecture.md' },
  { what: 'what has gone wrong', page: 'docs/testing.md' },
  { what: 'what is promised', page: 'docs/security.md' },
])('$what in $page', ({ page }) => {
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

describe('the attacks in docs/security.md', () => {
  it('are those that there are', () => {
    const page = readFileSync(join(root, 'docs/security.md'), 'utf8');
    const [, table = ''] = /\| what is taken \| attacks \|\n(.*?)\n\n/s.exec(page) ?? [];
    const named = [...table.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
    expect(named.sort()).toEqual(ATTACKS.map(({ name }) => name).sort());
  });
});
