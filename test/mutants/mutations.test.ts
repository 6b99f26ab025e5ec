import { describe, expect, it } from 'vitest';
import { changedLines } from './changed-lines.ts';
import { mutationsOf, withMutation } from './mutations.ts';

const changes = (source: string): string[] => mutationsOf(source).map((one) => withMutation(source, one));

describe('changes of a source', () => {
  it('concern limits, conditions, calls, returned values, and constants', () => {
    expect(changes('if (a >= b) end(a);')).toEqual([
      'if ((a) > (b)) end(a);',
      'if (false) end(a);',
      'if (true) end(a);',
      'if (a >= b) ;',
    ]);
    expect(changes('const f = (a) => { return a && this.#b; };')).toEqual([
      'const f = (a) => { return (a); };',
      'const f = (a) => { return (this.#b); };',
      'const f = (a) => { return undefined; };',
    ]);
    expect(changes('this.x = 3;')).toEqual([';', 'this.x = (3 + 1);']);
    expect(changes('if (x) throw new Error(String(a < b));')).toHaveLength(3);
  });

  it('concern methods, private ones and closures, too, and no types and imports', () => {
    expect(changes('class A { #f(): 1 | 2 { return g(() => { h(); }); } }')).toHaveLength(2);
    expect(changes("import a from 'b';\ntype T = 1 | true;\nconst n = m as 5;")).toEqual([]);
  });

  it('leave calls of the logger alone', () => {
    expect(changes('this.#logger.warn({ n: 1 }, "text");')).toEqual([]);
  });

  it('have correct positions after characters that are not ASCII', () => {
    const source = '// “é”\n\nconst a = 1;';
    expect(mutationsOf(source)).toMatchObject([{ line: 3, find: '1' }]);
    expect(changes(source)).toEqual(['// “é”\n\nconst a = (1 + 1);']);
  });
});

it('the changed lines are those that a diff adds', () => {
  const diff = [
    '+++ b/x.ts',
    '@@ -1 +1,2 @@',
    '@@ -9,2 +10,0 @@',
    '@@ -20 +21 @@',
    '+++ /dev/null',
    '@@ -1,3 +0,0 @@',
  ].join('\n');
  expect(changedLines(diff)).toEqual(new Map([['x.ts', new Set([1, 2, 21])]]));
});
