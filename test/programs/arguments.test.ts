import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const TEST = join(import.meta.dirname, '..');
const PROGRAMS = ['attack', 'bench', 'fuzz', 'mutants', 'sim', 'soak'];

async function run(program: string, argument: string): Promise<{ code: number; out: string; err: string }> {
  const args = [join(TEST, program, 'main.ts'), argument];
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
}

describe.each(PROGRAMS)('test/%s/main.ts', (program) => {
  it('prints its usage with --help, and nothing else', async () => {
    const { code, out, err } = await run(program, '--help');
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/^usage: npm run /);
  });

  it('says which argument it does not know, with its usage and without a stack', async () => {
    const { code, out, err } = await run(program, '--no-such-option');
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(/--no-such-option.*\n\nusage: /);
    expect(err).not.toContain('    at ');
  });
});

it.each([
  ['attack', '--only=no-such-one'],
  ['bench', 'no-such-one'],
  ['fuzz', 'no-such-one'],
])('test/%s/main.ts says which there are when asked for %s, without a stack', async (program, argument) => {
  const { code, out, err } = await run(program, argument);
  expect([code, out]).toEqual([2, '']);
  expect(err).toMatch(/^no such .*no-such-one; /);
  expect(err).not.toContain('    at ');
});
