import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { status } from '@grpc/grpc-js';
import { DBG_SHELL, LNK_ERROR } from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { RoutedMessage } from '@spanmesh/proto/v1/messaging';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from '../main.ts';
import { FakeMessaging, type FakeRoute } from '../messaging.fixture.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';

let node: FakeMessaging;
let terminal: RecordingTerminal;

beforeEach(async () => {
  node = new FakeMessaging();
  await node.server.start();
  terminal = new RecordingTerminal();
});

afterEach(() => node.server.stop());

function shell(...args: string[]): Promise<number> {
  return main(['shell', '--address', node.server.address, 'DATA', ...args], terminal);
}

const text = (line: string): Buffer => Buffer.from(`${line}\0`);

/** Has the node answer with these lines, and end as its dialect does. */
function answer(lines: readonly string[], end: Partial<RoutedMessage>) {
  return ({ transaction }: RoutedMessage, route: FakeRoute): void => {
    lines.forEach((line, i) => {
      route.say({ transaction, command: DBG_SHELL, create: i === 0, aux: text(line) });
    });
    route.say({ transaction, create: lines.length === 0, ...end });
  };
}

const CIRCUIT_END = { command: DBG_SHELL, delete: true, aux: text('debug> ') };
const LINKID_END = { command: LNK_ERROR, delete: true };

describe('spanmesh shell with a command', () => {
  it.each([
    ['circuit', CIRCUIT_END],
    ['linkid', LINKID_END],
    ['circuit, from a node that forgets to end it', { ...CIRCUIT_END, delete: false }],
    ['linkid, from a node that forgets to end it', { ...LINKID_END, delete: false }],
  ])('prints the answer, without its end (%s)', async (_name, end) => {
    node.onMessage = answer(['help\n', '\tspan <host>\n', 'no line end'], end);
    expect(await shell('help', 'me')).toBe(0);
    expect(terminal.printed).toBe('help\n\tspan <host>\nno line end\n');
    expect(node.heard).toMatchObject([{ transaction: 1, command: DBG_SHELL, create: true, delete: true }]);
    expect(node.heard[0]!.aux).toEqual(text('help me'));
  });

  it('succeeds when the transaction ends without output', async () => {
    node.onMessage = answer([], { command: LNK_ERROR, delete: true });
    expect(await shell('')).toBe(0);
    expect(terminal.printed).toBe('');
  });

  it('goes on waiting after an acknowledgement', async () => {
    node.onMessage = ({ transaction }, route) => {
      route.say({ transaction, command: LNK_ERROR, create: true });
      route.say({ transaction, command: DBG_SHELL, delete: true, aux: text('later\n') });
    };
    expect(await shell('x')).toBe(0);
    expect(terminal.printed).toBe('later\n');
  });

  it('escapes control characters, and stops at the first NUL', async () => {
    node.onMessage = answer(['\x1b[2Jred\u202e\\ \r\nbell\x07\n\0hidden'], CIRCUIT_END);
    await shell('x');
    expect(terminal.printed).toBe('\\x1b[2Jred\\u{202e}\\\\ \\x0d\nbell\\x07\n');
  });

  it('says what it may mean that no answer comes', async () => {
    expect(await shell('x', '--timeout', '20ms')).toBe(1);
    expect(terminal.noted).toBe(
      'spanmesh: DATA has not answered on the circuit within 0.02 s; one that answers elsewhere cannot be heard\n',
    );
  });

  it('says that an answer stops half-way', async () => {
    node.onMessage = ({ transaction }, route) =>
      route.say({ transaction, command: DBG_SHELL, create: true, aux: text('one\n') });
    expect(await shell('x', '--timeout', '200ms')).toBe(1);
    expect(terminal.printed).toBe('one\n');
    expect(terminal.noted).toBe('spanmesh: DATA has stopped in the middle of its answer: nothing more within 0.2 s\n');
  });

  it.each([
    [ErrorCode.NOSUPP, 'spanmesh: DATA has no shell here: NOSUPP\n'],
    [ErrorCode.LOSTLINK, 'spanmesh: DATA answered LNK_ERROR|CREATE|DELETE|REPLY LOSTLINK\n'],
  ])('explains the answer of a node without a shell (%s)', async (error, line) => {
    node.onMessage = answer([], { command: LNK_ERROR, delete: true, error });
    expect(await shell('x')).toBe(1);
    expect(terminal.noted).toBe(line);
  });

  it('does not send a command that is too long', async () => {
    node.auxLimit = 64;
    expect(await shell('x'.repeat(64))).toBe(2);
    expect(node.heard).toEqual([]);
  });
});

describe('spanmesh shell on a terminal', () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'spanmesh-shell-'));
    node.onMessage = answer(['ok\n'], CIRCUIT_END);
  });
  afterEach(() => rmSync(home, { recursive: true }));

  const file = () => join(home, 'spanmesh', 'shell_history');
  const heard = () => node.heard.map(({ aux }) => aux.toString('utf8').slice(0, -1));

  /** A shell in which these keys are typed, each once the answer to the one before has been printed; then Ctrl-D. */
  async function typing(keys: readonly string[], env: Record<string, string> = {}, ...args: string[]): Promise<string> {
    terminal = new RecordingTerminal({ XDG_STATE_HOME: home, ...env });
    Object.assign(terminal.out, { isTTY: true, columns: 80 });
    const typed = Object.assign(new PassThrough(), { isTTY: true });
    terminal.in = typed;
    node.heard.length = 0;
    const done = shell(...args);
    await terminal.until(() => terminal.printed.includes('DATA> '));
    for (const [i, one] of keys.entries()) {
      typed.write(`${one}\r`);
      await terminal.until(() => terminal.printed.split('ok\n').length > i + 1 && terminal.printed.endsWith('\x1b[7G'));
    }
    typed.write('\x04');
    expect(await done).toBe(0);
    return terminal.noted;
  }

  const UP = '\x1b[A';

  it('recalls lines that were typed in an earlier shell', async () => {
    await typing(['help', 'tree']);
    expect(readFileSync(file(), 'utf8')).toBe('help\ntree\n');
    expect(await typing([`${UP}${UP}`, UP])).toBe('');
    expect(heard()).toEqual(['help', 'help']);
  });

  it('drops the line at Ctrl-C, and ends at the second', async () => {
    terminal = new RecordingTerminal({ XDG_STATE_HOME: home });
    Object.assign(terminal.out, { isTTY: true, columns: 80 });
    const typed = Object.assign(new PassThrough(), { isTTY: true });
    terminal.in = typed;
    const done = shell();
    await terminal.until(() => terminal.printed.includes('DATA> '));
    typed.write('halt\x1b[D\x03');
    await terminal.until(() => terminal.printed.endsWith('DATA> \x1b[7G'));
    typed.write('help\r');
    await terminal.until(() => terminal.printed.includes('ok\n'));
    typed.write('\x03');
    expect(await done).toBe(0);
    expect(heard()).toEqual(['help']);
  });

  it('keeps no secrets, and recalls them only in the shell in which they were typed', async () => {
    await typing(['login --password hunter2', UP]);
    expect(heard()).toEqual(['login --password hunter2', 'login --password hunter2']);
    expect(existsSync(file())).toBe(false);
  });

  it.each([
    [{ SPANMESH_SHELL_HISTORY: 'off' }, []],
    [{}, ['--no-history']],
  ])('keeps no lines with %j %j', async (env, args) => {
    expect(await typing(['help'], env, ...args)).toBe('');
    expect(existsSync(file())).toBe(false);
  });

  it('reports once that no lines can be kept, and goes on', async () => {
    writeFileSync(join(home, 'spanmesh'), 'in the way');
    const noted = await typing(['help', 'tree']);
    expect(noted).toMatch(/^spanmesh: lines are not kept for the next shell: ENOTDIR.*\n$/);
    expect(heard()).toEqual(['help', 'tree']);
  });
});

describe('spanmesh shell with lines', () => {
  it('runs each line in a transaction of its own, and skips empty ones', async () => {
    node.onMessage = (message, route) =>
      answer([`${message.aux.toString('utf8').slice(0, -1)}!\n`], CIRCUIT_END)(message, route);
    terminal.in = Readable.from(['one\n\nt', 'wo\r\n  \nthree']);
    expect(await shell()).toBe(0);
    expect(terminal.printed).toBe('one!\ntwo!\nthree!\n');
    expect(node.heard.map(({ transaction }) => transaction)).toEqual([1, 2, 3]);
  });

  it('prints a prompt if the lines are typed', async () => {
    node.onMessage = answer(['ok\n'], CIRCUIT_END);
    const typed = Object.assign(new PassThrough(), { isTTY: true });
    terminal.in = typed;
    const done = shell();
    await terminal.until(() => terminal.printed === 'DATA> ');
    typed.write('x\n');
    await terminal.until(() => terminal.printed === 'DATA> ok\nDATA> ');
    typed.end();
    expect(await done).toBe(0);
    expect(terminal.printed).toBe('DATA> ok\nDATA> \n');
  });

  it('goes on after a command that fails, and fails at the end', async () => {
    node.onMessage = (message, route) =>
      message.transaction === 1
        ? answer([], { command: LNK_ERROR, delete: true, error: ErrorCode.NOSUPP })(message, route)
        : answer(['ok\n'], CIRCUIT_END)(message, route);
    terminal.in = Readable.from(['a\nb\n']);
    expect(await shell()).toBe(1);
    expect(terminal.printed).toBe('ok\n');
    expect(terminal.noted).toBe('spanmesh: DATA has no shell here: NOSUPP\nspanmesh: 1 of 2 commands failed\n');
  });

  it('stops when the route is gone', async () => {
    node.onMessage = (_message, route) => route.fail(status.UNAVAILABLE, 'closed');
    terminal.in = Readable.from(['a\nb\n']);
    expect(await shell()).toBe(1);
    expect(terminal.noted).toBe('spanmesh: the route to DATA is gone: closed\n');
  });
});
