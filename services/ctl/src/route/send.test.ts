import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { BLK_ERROR, BLK_READ, DBG_SHELL, LNK_PING } from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from '../main.ts';
import { FakeMessaging } from '../messaging.fixture.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';
import { MAX_AUX_BYTES } from './send.ts';

let node: FakeMessaging;
let terminal: RecordingTerminal;
let dir: string;

beforeEach(async () => {
  node = new FakeMessaging();
  await node.server.start();
  terminal = new RecordingTerminal();
  dir = await mkdtemp(join(tmpdir(), 'send-'));
});

afterEach(async () => {
  node.server.stop();
  await rm(dir, { recursive: true });
});

function send(...args: string[]): Promise<number> {
  return main(['send', 'DATA', '--address', node.server.address, ...args], terminal);
}

/** Has the node answer every message with data, in two messages. */
function serveTwo(): void {
  node.onMessage = ({ transaction }, route) => {
    route.say({
      transaction,
      command: BLK_ERROR,
      create: true,
      payload: Buffer.from([1, 2, 0, 0]),
      aux: Buffer.from('ab'),
    });
    route.say({ transaction, command: BLK_ERROR, delete: true, aux: Buffer.from('cd') });
  };
}

describe('spanmesh send', () => {
  it('sends the typed message, and prints the first answer', async () => {
    serveTwo();
    expect(await send('--command', '0x00500302', '--payload', '00:01 ff', '--aux', 'grüße')).toBe(0);
    expect(node.heard).toMatchObject([{ transaction: 1, command: BLK_READ, create: true, delete: true }]);
    expect(node.heard[0]!.payload).toEqual(Buffer.from([0, 1, 255]));
    expect(node.heard[0]!.aux.toString()).toBe('grüße');
    expect(terminal.printed).toBe('BLK_ERROR|CREATE|REPLY\npayload 0102\naux 2 bytes 6162\n');
  });

  it('prints all answers until the end', async () => {
    serveTwo();
    expect(await send('--command', String(BLK_READ), '--expect-stream')).toBe(0);
    expect(terminal.printed).toContain('BLK_ERROR|DELETE|REPLY\naux 2 bytes 6364\n');
  });

  it('prints JSON, a document a line, with names beside numbers', async () => {
    serveTwo();
    await send('--command', '0x500302', '--expect-stream', '-o', 'json');
    const [first, second] = terminal.printed
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(first).toMatchObject({
      message: 'BLK_ERROR|CREATE|REPLY',
      errorName: 'OK',
      auxBytes: 2,
      transaction: 1,
      command: BLK_ERROR,
      create: true,
      delete: false,
      payload: Buffer.from([1, 2, 0, 0]).toString('base64'),
      aux: Buffer.from('ab').toString('base64'),
    });
    expect(second).toMatchObject({ delete: true, payload: '' });
  });

  it('takes bytes from files and standard input, and puts aux data into a file', async () => {
    serveTwo();
    const [payload, out] = [join(dir, 'payload'), join(dir, 'out')];
    await writeFile(payload, Buffer.alloc(64, 7));
    terminal.in = Readable.from([Buffer.from('from '), Buffer.from('stdin')]);
    const args = ['--command', '0x500302', '--payload', `@${payload}`, '--aux', '-', '--out', out, '--expect-stream'];
    expect(await send(...args)).toBe(0);
    expect(node.heard[0]!.payload).toEqual(Buffer.alloc(64, 7));
    expect(node.heard[0]!.aux.toString()).toBe('from stdin');
    expect(await readFile(out, 'utf8')).toBe('abcd');
    expect(terminal.printed).toContain('aux 2 bytes\n');
  });

  it('shows the text of a shell message, escaped', async () => {
    node.onMessage = ({ transaction }, route) =>
      route.say({ transaction, command: DBG_SHELL, create: true, delete: true, aux: Buffer.from('\x1b[1m\0rest') });
    await send('--command', '0x00100101');
    expect(terminal.printed).toBe('DBG_SHELL|CREATE|DELETE|REPLY\naux 9 bytes "\\x1b[1m"\n');
  });

  it('fails with an error by its name', async () => {
    node.onMessage = ({ transaction }, route) =>
      route.say({ transaction, command: BLK_ERROR, create: true, delete: true, error: ErrorCode.PARAM });
    expect(await send('--command', '0x500302')).toBe(1);
    expect(terminal.printed).toBe('BLK_ERROR|CREATE|DELETE|REPLY PARAM\n');
    expect(terminal.noted).toBe('spanmesh: DATA answered BLK_READ with PARAM\n');
  });

  it('gives up when no answer comes', async () => {
    expect(await send('--command', '0x500302', '--timeout', '20ms')).toBe(1);
    expect(terminal.noted).toBe('spanmesh: DATA has not answered BLK_READ within 0.02 s\n');
  });

  it('sends one-way messages, and waits until the service has taken them', async () => {
    expect(await send('--command', '0x101', '--one-way')).toBe(0);
    expect(node.heard).toMatchObject([{ transaction: 0, command: LNK_PING, create: false, delete: false }]);
    expect(terminal.printed).toBe('');
  });

  it('prints the answers to a one-way message', async () => {
    node.onMessage = (_message, route) => route.say({ command: LNK_PING, reply: true });
    expect(await send('--command', '0x101', '--one-way', '--expect-stream', '--timeout', '300ms')).toBe(0);
    expect(terminal.printed).toBe('LNK_PING|REPLY\n');
  });

  it.each([
    [[], "required option '--command <word>' not specified"],
    [['--command', 'read'], 'Expected a command word'],
    [['--command', '0x80500302'], 'without flags'],
    [['--command', '0x00500300'], 'size of the header'],
    [['--command', '0x00500321'], 'size of the header'],
    [['--command', '0x101', '--payload', '00'], '--payload: 1 bytes, but a LNK_PING has room for 0'],
    [['--command', '0x500302', '--payload', 'xy'], 'pairs of hexadecimal digits'],
    [['--command', '0x500302', '--payload', '123'], 'pairs of hexadecimal digits'],
    [['--command', '0x500302', '--payload', '@/nonexistent/\x1b'], 'cannot read /nonexistent/\\x1b'],
    [['--command', '0x500302', '--out', '/nonexistent/x'], 'cannot write /nonexistent/x'],
  ])('%j is refused with exit code 2', async (args, line) => {
    expect(await send(...args)).toBe(2);
    expect(terminal.noted).toContain(line);
    expect(node.heard).toEqual([]);
  });

  it('does not send more aux data than the dialect takes', async () => {
    node.auxLimit = 4;
    expect(await send('--command', '0x500302', '--aux', 'abcde')).toBe(2);
    expect(terminal.noted).toBe('spanmesh: --aux: 5 bytes, but messages to DATA hold 4\n');
    expect(node.heard).toEqual([]);
  });

  // Limits: route/send.ts MAX_AUX_BYTES
  it('reads no more of standard input than a message can hold, plus one chunk', async () => {
    serveTwo();
    terminal.in = Readable.from([Buffer.alloc(MAX_AUX_BYTES)]);
    expect(await send('--command', '0x500302', '--aux', '-')).toBe(0);
    expect(node.heard.map(({ aux }) => aux.length)).toEqual([MAX_AUX_BYTES]);
    let taken = 0;
    const endless = function* () {
      for (yield Buffer.alloc(MAX_AUX_BYTES); ; taken++) yield Buffer.alloc(1);
    };
    terminal.in = Readable.from(endless(), { highWaterMark: 1 });
    expect(await send('--command', '0x500302', '--aux', '-')).toBe(2);
    expect(terminal.noted).toContain(`--aux: ${MAX_AUX_BYTES + 1} bytes, but messages to DATA hold ${MAX_AUX_BYTES}`);
    expect(taken).toBeLessThan(3);
    expect(node.heard).toHaveLength(1);
  });
});
