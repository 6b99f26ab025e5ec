import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
/** Code has this width by the formatter, which leaves comments as they are. */
const WIDTH = 120;
/** Lists that tools read, each in one line. */
const LIST = /^\s*\/\/ (Limits|Causes): /;

it('no line of a comment is longer than a line of code', () => {
  const files = globSync(['{libs,services}/*/{bin,src}/**/*.{ts,js}', 'test/**/*.ts', 'proto/**/*.proto'], {
    cwd: root,
  }).filter((file) => !file.includes('node_modules'));
  const long = files.flatMap((file) =>
    readFileSync(join(root, file), 'utf8')
      .split('\n')
      .flatMap((line, i) =>
        line.length > WIDTH && /^\s*(\/\/|\/\*|\*)/.test(line) && !LIST.test(line) ? [`${file}:${i + 1}`] : [],
      ),
  );
  expect(files.length).toBeGreaterThan(1000);
  expect(long).toEqual([]);
});
