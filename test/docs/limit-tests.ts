import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Limit } from './limits.ts';

/** A test that goes up to a limit, and one past it. */
export interface LimitTest {
  readonly file: string;
  readonly test: string;
}

/** Lines above a test: `// Limits: trunk/limits.ts MAX_TOKENS, …`, each with the end of its file's path. The next test is meant. */
const MARK = /((?:^[ \t]*\/\/ Limits: .+\n)+)[\s\S]*?\b(?:it|test)(?:\.each[^(]*\([\s\S]*?\))?\(\s*(['`])(.*?)\2/gm;
/** Times are when something happens, and parts how much of a limit something may take: neither has a “past it”. */
const PACE = /^(?!.*MAX_).*_MS$|_(SHARE|PART|PERCENT|VERSION)$/;

/** Whether something may be refused, cut off or forgotten by it. */
export function isBound({ name }: Limit): boolean {
  return !PACE.test(name);
}

/** Limits that tests say they go up to, as `limitKey` names them. */
export function limitTests(root: string, limits: readonly Limit[]): Map<string, LimitTest> {
  const found = new Map<string, LimitTest>();
  const files = execFileSync('git', ['-C', root, 'ls-files', '--', '*.test.ts'], { encoding: 'utf8' })
    .trim()
    .split('\n');
  for (const file of files) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const [, marked, , test] of text.matchAll(MARK)) {
      const named = [...(marked ?? '').matchAll(/Limits: (.+)/g)].flatMap(([, names = '']) => names.split(', '));
      for (const one of named) {
        const [path = '', name = ''] = one.trim().split(' ');
        const meant = limits.filter((limit) => limit.name === name && `/${limit.file}`.endsWith(`/${path}`));
        if (meant.length !== 1) throw new Error(`${file}: “${one}” is ${meant.length} limits, not one`);
        found.set(limitKey(meant[0]!), { file, test: test! });
      }
    }
  }
  return found;
}

/** File and name: names come more than once. */
export function limitKey({ file, name }: Limit): string {
  return `${file} ${name}`;
}
