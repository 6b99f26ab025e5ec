import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { INLINING_OPTION, widenInlining, withoutEarlyInlining } from './inlining.ts';

it('is an option of this Node, with a lower default than ours', async () => {
  const set: string[] = [];
  widenInlining((flags) => void set.push(flags));
  expect(set).toEqual([`${INLINING_OPTION}=4000`]);
  const { stdout } = await promisify(execFile)(process.execPath, ['--v8-options']);
  const [, value] = stdout.split(`default: ${INLINING_OPTION}=`);
  expect(Number.parseInt(value ?? '', 10)).toBeLessThan(4000);
});

it('is off in the middle compiler while work is done that is to be compiled soon, also if it fails', async () => {
  const set: string[] = [];
  const note = (flags: string) => void set.push(flags);
  const during = await withoutEarlyInlining(async () => [...set], note);
  expect([during, set]).toEqual([['--no-maglev-inlining'], ['--no-maglev-inlining', '--maglev-inlining']]);
  await expect(withoutEarlyInlining(() => Promise.reject(new Error('no')), note)).rejects.toThrow('no');
  expect(set.at(-1)).toBe('--maglev-inlining');
  const { stdout } = await promisify(execFile)(process.execPath, ['--v8-options']);
  expect(stdout).toContain('default: --maglev-inlining\n');
});
