import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { ENGINE_OPTIONS, setEngineOptions } from './engine-options.ts';

it('the options of the engine are set as they are written on a command line', () => {
  const set: string[] = [];
  setEngineOptions((flags) => void set.push(flags));
  expect(set).toEqual([
    '--max-inlined-bytecode-size-cumulative=4000',
    '--no-lazy-feedback-allocation',
    '--semi-space-growth-factor=8',
  ]);
});

it('this Node has them, with other defaults', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--v8-options']);
  for (const { name, value } of ENGINE_OPTIONS) {
    const [, written] = new RegExp(`\\n +--${name} [^\\n]*\\n[^\\n]*default: --(\\S+)`).exec(stdout) ?? [];
    expect(written).toMatch(name);
    expect(written).not.toBe(typeof value === 'number' ? `${name}=${value}` : value ? name : `no-${name}`);
  }
});
