import { dirname } from 'node:path';

/** The test beside a file. It may start the file as a process of its own, and need not import it. */
export function ownTest(file: string): string {
  return file.replace(/\.ts$/, '.test.ts');
}

/** Steps from a changed file's folder to a test's; its own test is the nearest. Paths are absolute. */
export function distance(changed: string, test: string): number {
  if (test === ownTest(changed)) return 0;
  const [a, b] = [dirname(changed).split('/'), dirname(test).split('/')];
  let shared = 0;
  while (shared < a.length && shared < b.length && a[shared] === b[shared]) shared++;
  return 1 + a.length + b.length - 2 * shared;
}
