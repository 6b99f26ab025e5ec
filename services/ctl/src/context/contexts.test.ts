import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readApiOptions } from '../api-options.ts';
import { main } from '../main.ts';
import { buildProgram } from '../program.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';

let home: string;
let env: Record<string, string | undefined>;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'spanmesh-contexts-'));
  env = { XDG_CONFIG_HOME: home };
});
afterEach(() => rmSync(home, { recursive: true }));

async function spanmesh(...args: string[]) {
  const terminal = new RecordingTerminal(env);
  const code = await main(args, terminal);
  return { code, printed: terminal.printed, noted: terminal.noted };
}

/** The options that a command reads from these arguments. */
function options(...args: string[]) {
  const terminal = new RecordingTerminal(env);
  const program = buildProgram(terminal);
  const status = program.commands.find((command) => command.name() === 'status')!;
  status.action(() => {});
  program.parse([...args, 'status'], { from: 'user' });
  const { address, access } = readApiOptions(status, terminal);
  return { address, access };
}

const file = () => join(home, 'spanmesh', 'contexts.json');

describe('Contexts', () => {
  it('are readable for their owner only, the first one in use, files with their whole path', async () => {
    expect(
      await spanmesh('context', 'add', 'lab', '--address', 'lab.example:1', '--ca', 'ca.crt', '--token-file', 't'),
    ).toEqual({ code: 0, printed: '', noted: '' });
    await spanmesh('context', 'add', 'home');
    expect([statSync(file()).mode & 0o777, statSync(join(home, 'spanmesh')).mode & 0o777]).toEqual([0o600, 0o700]);
    const access = { ca: join(process.cwd(), 'ca.crt'), tokenFile: join(process.cwd(), 't') };
    expect(options()).toEqual({ address: 'lab.example:1', access });
    expect(options('--context', 'home')).toEqual({ address: '127.0.0.1:7987', access: undefined });
    await spanmesh('context', 'use', 'home');
    expect(options()).toEqual({ address: '127.0.0.1:7987', access: undefined });
    env.SPANMESH_CONTEXT = 'lab';
    expect(options().address).toBe('lab.example:1');
    expect((await spanmesh('context', 'list')).printed).toMatch(/^\*? +lab .*\n\* +home/m);
    await spanmesh('context', 'rm', 'home');
    expect(JSON.parse((await spanmesh('context', 'list', '-o', 'json')).printed)).toEqual({
      current: null,
      contexts: { lab: { address: 'lab.example:1', ...access } },
    });
  });

  it('are a list with the usual options', async () => {
    for (const name of ['b', 'a', 'c']) await spanmesh('context', 'add', name, '--address', `${name}.example:1`);
    expect((await spanmesh('context', 'list', '--sort', 'context', '--columns', 'current,context')).printed).toBe(
      'CURRENT  CONTEXT\n         a\n*        b\n         c\n',
    );
    const { printed } = await spanmesh('context', 'list', '-o', 'yaml', '--sort=-context', '--limit', '2');
    expect(printed).toBe('current: b\ncontexts:\n  c:\n    address: c.example:1\n  b:\n    address: b.example:1\n');
  });

  it('do not send their token to another address', async () => {
    await spanmesh('context', 'add', 'lab', '--address', 'lab.example:1', '--token-file', 't');
    expect(options('--address', 'other.example:2')).toEqual({ address: 'other.example:2', access: undefined });
    env.SPANMESH_ADDRESS = 'other.example:3';
    expect(options()).toEqual({ address: 'other.example:3', access: undefined });
  });

  it.each([
    [['use', 'nobody'], 'there is no context nobody'],
    [['rm', 'nobody'], 'there is no context nobody'],
    [['add', '../x'], 'a context is named by'],
    [['add', 'x', '--cert', 'c'], 'give both, --cert and --key'],
  ])('context %j says what is wrong', async (args, why) => {
    expect(await spanmesh('context', ...args)).toMatchObject({ code: 2, noted: expect.stringContaining(why) });
  });

  it('are left as they are, and reported, when they cannot be read', async () => {
    await spanmesh('context', 'add', 'lab');
    for (const text of ['{', '[]', '{"contexts":{"a":{}}}']) {
      writeFileSync(file(), text);
      expect(await spanmesh('context', 'add', 'home')).toMatchObject({
        code: 2,
        noted: expect.stringContaining('contexts.json'),
      });
      expect(readFileSync(file(), 'utf8')).toBe(text);
    }
  });
});
