import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildProgram } from '@spanmesh/ctl/program';
import { bashCompletion } from '@spanmesh/ctl/reference/completion-bash';
import { fishCompletion } from '@spanmesh/ctl/reference/completion-fish';
import { zshCompletion } from '@spanmesh/ctl/reference/completion-zsh';
import { manPages } from '@spanmesh/ctl/reference/man-pages';
import { nowhere } from '@spanmesh/ctl/reference/nowhere';
import { wholeTree } from '@spanmesh/ctl/reference/whole-tree';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProgram } from './run-program.ts';

let home: string;
let pages: string[];
const file = (name: string) => join(home, name);

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'spanmesh-shells-'));
  const tree = await wholeTree(buildProgram(nowhere()));
  writeFileSync(file('spanmesh.bash'), bashCompletion(tree));
  writeFileSync(file('spanmesh.fish'), fishCompletion(tree));
  // zsh looks for a function in a file of the function's name.
  mkdirSync(file('functions'));
  writeFileSync(file('functions/_spanmesh'), zshCompletion(tree));
  writeFileSync(file('targets.jsonl'), '');
  pages = manPages(tree, '2026-01-31').map((page) => {
    writeFileSync(file(page.file), page.text);
    return file(page.file);
  });
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

it('mandoc accepts every man page', () => {
  const { status, stdout, stderr } = runProgram('mandoc', ['-T', 'lint', '-W', 'warning', ...pages], home);
  expect(pages.length).toBeGreaterThan(20);
  expect([stdout, stderr, status]).toEqual(['', '', 0]);
});

it.each([
  ['bash', 'spanmesh.bash'],
  ['zsh', 'functions/_spanmesh'],
  ['fish', 'spanmesh.fish'],
])('%s accepts its script', (shell, script) => {
  expect(runProgram(shell, ['-n', file(script)], home)).toEqual({ status: 0, stdout: '', stderr: '' });
});

/** Typed texts, and the words that must be offered for each, in alphabetical order. */
const TYPED: readonly (readonly [string, readonly string[]])[] = [
  ['no', ['nodes']],
  ['volconf i', ['import']],
  ['nodes --dialect ', ['circuit', 'linkid']],
  ['nodes -o ', ['json', 'text', 'wide', 'yaml']],
  ['run topology --nats-u', ['--nats-url', '--nats-user']],
  // The value of an option is not a command, even if it has the name of one.
  ['--context nodes vol', ['volconf']],
  ['volconf import tar', ['targets.jsonl']],
  ['nodes --cluster ', []],
];

describe('in fish', () => {
  let answers: string[];
  beforeAll(() => {
    const asked = TYPED.map(([typed]) => `complete -C ${JSON.stringify(`spanmesh ${typed}`)}; echo '<end>'`).join('; ');
    const { stdout } = runProgram('fish', ['--no-config', '-c', `source ${file('spanmesh.fish')}; ${asked}`], home);
    answers = stdout.split('<end>\n');
  });

  it.each(TYPED.map(([typed, expected], i) => [typed, expected, i] as const))(
    '“spanmesh %s” offers %j',
    (_, expected, i) => {
      // Each line has a word, a tab and its description.
      const offered = answers[i]?.split('\n').filter(Boolean);
      expect(offered?.map((line) => line.split('\t')[0]).sort()).toEqual(expected);
    },
  );
});

/**
 * A script for zsh, which completes only in its line editor: a zsh in a pseudo-terminal is given each line, and a key
 * that prints the matching words between two marks instead of showing them. `compadd -O` returns the matching words
 * without inserting them.
 */
const ASK_ZSH = `
zmodload zsh/zpty
zpty zsh zsh -f -i
zpty -w zsh 'PROMPT=; fpath=($PWD/functions $fpath); autoload -Uz compinit; compinit -u -D'
zpty -w zsh 'compadd() {
  local -a offered
  builtin compadd -O offered "$@" 2>/dev/null
  print -rl -- \${offered/#/"<offered>"}
  builtin compadd "$@"
}'
zpty -w zsh 'ask() { print -r -- "<be""gin>"; zle list-choices; print -r -- "<e""nd>"; zle send-break }'
zpty -w zsh 'zle -C list-choices list-choices _main_complete; zle -N ask; bindkey "^X" ask; print -r -- "<rea""dy>"'
zpty -r zsh text '*<ready>*' || exit 3
for line in "$@"; do
  zpty -w -n zsh "$line"$'\\x18'
  zpty -r zsh text '*<begin>*<end>*' || exit 4
  print -r -- "$text"
done
zpty -d zsh
`;

describe('in zsh', () => {
  let answers: string[];
  beforeAll(() => {
    const lines = TYPED.map(([typed]) => `spanmesh ${typed}`);
    const { status, stdout } = runProgram('zsh', ['-f', '-c', ASK_ZSH, 'zsh', ...lines], home);
    expect(status, stdout).toBe(0);
    answers = stdout.split('<end>');
  });

  it.each(TYPED.map(([typed, expected], i) => [typed, expected, i] as const))(
    '“spanmesh %s” offers %j',
    (_, expected, i) => {
      const offered = [...(answers[i] ?? '').matchAll(/<offered>(\S+)/g)].map(([, word]) => word);
      expect([...new Set(offered)].sort()).toEqual(expected);
    },
  );
});
