import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildProgram } from '../program.ts';
import { bashCompletion } from './completion-bash.ts';
import { fishCompletion } from './completion-fish.ts';
import { zshCompletion } from './completion-zsh.ts';
import { nowhere } from './nowhere.ts';
import { wholeTree } from './whole-tree.ts';

let directory: string;
let script: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'spanmesh-completion-'));
  script = join(directory, 'spanmesh.bash');
  writeFileSync(script, bashCompletion(await wholeTree(buildProgram(nowhere()))));
});

afterAll(() => rmSync(directory, { recursive: true }));

/** The completions that bash offers for these words, of which the last is incomplete. */
function offered(...words: string[]): string[] {
  const program = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _spanmesh; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const printed = execFileSync('bash', ['-c', program, 'bash', script, 'spanmesh', ...words], {
    encoding: 'utf8',
    cwd: directory,
  });
  return printed.split('\n').filter(Boolean);
}

describe('in bash', () => {
  it.each([
    [['no'], ['nodes']],
    [['volconf', 'li'], ['list']],
    [['nodes', '--dia'], ['--dialect']],
    [
      ['nodes', '--dialect', ''],
      ['linkid', 'circuit'],
    ],
    [
      ['nodes', '-o', ''],
      ['text', 'wide', 'json', 'yaml'],
    ],
    // The value of an option is not taken for a command, even if it has a command's name.
    [['--context', 'nodes', 'vol'], ['volconf']],
    [['run', 'topology', '--che'], ['--check']],
    [
      ['run', 'topology', '--nats-u'],
      ['--nats-url', '--nats-user'],
    ],
    [['--ca', 'span'], ['spanmesh.bash']],
    [['volconf', 'import', 'span'], ['spanmesh.bash']],
    [['nodes', '--cluster', ''], []],
  ])('%j offers %j', (words, expected) => {
    expect(offered(...words)).toEqual(expected);
  });
});

it.each([
  ['zsh', zshCompletion],
  ['fish', fishCompletion],
] as const)('%s has every command and option', async (_shell, make) => {
  const text = make(await wholeTree(buildProgram(nowhere())));
  for (const word of ['volconf', 'import', 'dialect', 'columns', 'nats-url']) expect(text).toContain(word);
});
