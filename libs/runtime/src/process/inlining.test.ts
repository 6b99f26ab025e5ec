import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { INLINING_OPTION, widenInlining } from './inlining.ts';

it('is an option of this Node, with a lower default than ours', async () => {
  const set: string[] = [];
  widenInlining((flags) => void set.push(flags));
  expect(set).toEqual([`${INLINING_OPTION}=4000`]);
  const { stdout } = await promisify(execFile)(process.execPath, ['--v8-options']);
  const [, value] = stdout.split(`default: ${INLINING_OPTION}=`);
  expect(Number.parseInt(value ?? '', 10)).toBeLessThan(4000);
});
