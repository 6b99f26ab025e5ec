import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Limit } from './limits.ts';

/** A test that goes up to a limit, and one beyond it. */
export interface LimitTest {
  readonly file: string;
  readonly test: string;
}

/**
 * The mark above such a test: `// Limits: trunk/limits.ts MAX_TOKENS, …`; each limit is given with the end of its
 * file's path. It refers to the next test.
 */
const MARK = /((?:^[ \t]*\/\/ Limits: .+\n)+)[\s\S]*?\b(?:it|test)(?:\.each[^(]*\([\s\S]*?\))?\(\s*(['`])(.*?)\2/gm;
/**
 * Names of constants that are no bounds: times at which something happens, and parts of a limit. Nothing can be beyond
 * them.
 */
const PACE = /^(?!.*MAX_).*_MS$|_(SHARE|PART|PERCENT|VERSION)$/;

/** Whether a limit bounds something, so that something is refused, cut off or forgotten because of it. */
export function isBound({ name }: Limit): boolean {
  return !PACE.test(name);
}

/** The tests of limits by `limitKey`, according to the marks. */
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

/** File and name of a limit, because several files may use the same name. */
export function limitKey({ file, name }: Limit): string {
  return `${file} ${name}`;
}
