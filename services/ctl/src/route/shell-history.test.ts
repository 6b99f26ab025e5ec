import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { historyFile, MAX_LINE_CHARS, MAX_LINES, ShellHistory } from './shell-history.ts';

let home: string;
let file: string;
let complaints: string[];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'spanmesh-history-'));
  file = join(home, 'state', 'spanmesh', 'shell_history');
  complaints = [];
});
afterEach(() => rmSync(home, { recursive: true }));

const open = () => new ShellHistory(file, (line) => complaints.push(line));
const kept = () => readFileSync(file, 'utf8').split('\n').slice(0, -1);

/** Writes the file, as an earlier shell has left it. */
function given(text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

describe('historyFile', () => {
  it.each([
    [{ XDG_STATE_HOME: '/s', HOME: '/h' }, '/s/spanmesh/shell_history'],
    [{ HOME: '/h' }, '/h/.local/state/spanmesh/shell_history'],
    [{ XDG_STATE_HOME: 'not-absolute', HOME: '/h' }, '/h/.local/state/spanmesh/shell_history'],
    [{}, null],
    [{ HOME: '/h', SPANMESH_SHELL_HISTORY: 'off' }, null],
  ])('of %j is %j', (env, expected) => {
    expect(historyFile(env)).toBe(expected);
  });
});

describe('ShellHistory', () => {
  it('returns the lines of earlier shells, the last one first, from a file that only its owner can read', () => {
    const first = open();
    expect(first.read()).toEqual([]);
    for (const line of ['help', 'span größe.example', 'span größe.example']) first.add(line);
    const second = open();
    expect(second.read()).toEqual(['span größe.example', 'help']);
    second.add('span größe.example');
    expect(kept()).toEqual(['help', 'span größe.example']);
    expect([statSync(file).mode & 0o777, statSync(dirname(file)).mode & 0o777]).toEqual([0o600, 0o700]);
  });

  it('makes a file private that others could read', () => {
    given('help\n');
    chmodSync(file, 0o644);
    open().add('tree');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(kept()).toEqual(['help', 'tree']);
  });

  it('keeps the lines that two shells add at the same time', () => {
    const [one, other] = [open(), open()];
    one.read();
    other.read();
    one.add('a');
    other.add('b');
    expect(open().read()).toEqual(['b', 'a']);
  });

  it('keeps no secret, no line that begins with a space or has control characters, and skips those that got in otherwise', () => {
    given('\u001b[2J\npassword hunter2\nhelp\n');
    const history = open();
    expect(history.read()).toEqual(['help']);
    for (const line of ['login --password hunter2', ' tree', 'a\u0007', '']) history.add(line);
    expect(readFileSync(file, 'utf8')).toBe('\u001b[2J\npassword hunter2\nhelp\n');
  });

  // Limits: route/shell-history.ts MAX_LINE_CHARS
  it('keeps no line that is too long', () => {
    const history = open();
    history.add('x '.repeat(MAX_LINE_CHARS / 2));
    history.add(`${'x '.repeat(MAX_LINE_CHARS / 2)}x`);
    expect(history.read()).toEqual(['x '.repeat(MAX_LINE_CHARS / 2)]);
  });

  // Limits: route/shell-history.ts MAX_LINES
  it('keeps the last lines, and cleans up when there are twice as many', () => {
    const history = open();
    for (let n = 1; n < 2 * MAX_LINES; n++) history.add(`${n}`);
    expect(kept()).toHaveLength(2 * MAX_LINES - 1);
    history.add('last');
    expect(kept()).toHaveLength(MAX_LINES);
    expect(history.read().slice(0, 2)).toEqual(['last', `${2 * MAX_LINES - 1}`]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    given(Array.from({ length: MAX_LINES + 1 }, (_, n) => `${n}\n`).join(''));
    expect(open().read().at(-1)).toBe('1');
    expect(kept()).toHaveLength(MAX_LINES);
  });

  // Limits: route/shell-history.ts MAX_FILE_BYTES
  it('reports once a file that it cannot have written, and leaves it alone', () => {
    const largest = 2 * MAX_LINES * (4 * MAX_LINE_CHARS + 1);
    given(' '.repeat(largest));
    expect(open().read()).toEqual([]);
    expect(complaints).toEqual([]);
    given(' '.repeat(largest + 1));
    const history = open();
    expect(history.read()).toEqual([]);
    history.add('help');
    expect(complaints).toEqual([expect.stringMatching(/^lines are not kept for the next shell: .* is larger than/)]);
    expect(statSync(file).size).toBe(largest + 1);
  });

  it('reports once that the file cannot be written', () => {
    writeFileSync(join(home, 'state'), 'in the way');
    const history = open();
    history.read();
    history.add('help');
    history.add('tree');
    expect(complaints).toEqual([expect.stringMatching(/^lines are not kept for the next shell: ENOTDIR/)]);
  });

  it('reports a directory in the place of its file', () => {
    mkdirSync(file, { recursive: true });
    open().read();
    expect(complaints).toEqual([`lines are not kept for the next shell: ${file} is no file`]);
  });

  it('keeps nothing when there is no file', () => {
    const history = new ShellHistory(null, (line) => complaints.push(line));
    history.add('help');
    expect([history.read(), complaints, existsSync(file)]).toEqual([[], [], false]);
  });
});
