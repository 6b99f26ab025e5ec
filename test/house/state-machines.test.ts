import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const ASSIGNMENT = /^ +(?:if \(.*\) )?[\w.]+\.#?state = /;

/** Files with more than one place, and how many places each has. */
const MORE = new Map([
  // The bits of a transaction's state are on the path of a message: they are changed where its header is read.
  ['libs/dmsg/src/transactions/openings.ts', 2],
  ['libs/dmsg/src/transactions/receive-rules.ts', 2],
  ['libs/dmsg-socket/src/keys/withdrawn-keys.ts', 2],
]);

/** Lines that change a field named `state`, except in constructors. */
function changes(file: string): string[] {
  const lines: string[] = [];
  let isInConstructor = false;
  for (const line of readFileSync(join(root, file), 'utf8').split('\n')) {
    if (line.startsWith('  constructor(')) isInConstructor = true;
    else if (line === '  }') isInConstructor = false;
    if (!isInConstructor && ASSIGNMENT.test(line)) lines.push(line.trim());
  }
  return lines;
}

// CONTRIBUTING.md, "Habits".
it('a state machine has one place that changes its state', () => {
  const files = globSync('{libs,services}/*/src/**/*.ts', { cwd: root }).filter(
    (file) => !/\.(test|fixture)\.ts$|node_modules/.test(file),
  );
  const found = files.map((file) => ({ file, lines: changes(file) })).filter(({ lines }) => lines.length > 0);
  for (const { file, lines } of found) {
    expect(lines.length, `${file}: ${lines.join(' ')}`).toBe(MORE.get(file) ?? 1);
  }
  expect(found.length).toBeGreaterThan(10);
});
