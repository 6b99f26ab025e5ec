import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readRules } from '@spanmesh/dmsg-socket/keys/read-rules';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from '../main.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'spanmesh-keys-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

async function run(args: string[], env: Record<string, string> = {}) {
  const terminal = new RecordingTerminal(env);
  const code = await main(['keys', ...args], terminal);
  return {
    code,
    printed: terminal.printed.replaceAll(directory, 'DIR'),
    noted: terminal.noted.replaceAll(directory, 'DIR'),
  };
}

describe('keys init', () => {
  it('makes a pair that only its owner can read', async () => {
    const own = join(directory, 'new');
    const { code, printed } = await run(['init', own]);
    expect(code).toBe(0);
    expect(printed).toMatch(/^DIR\/new: key pair made, SHA256:\S{43}\n {2}give rsa.pub/);
    expect(readdirSync(own).sort()).toEqual(['remote', 'rsa.prv', 'rsa.pub']);
    const modes = ['', 'remote', 'rsa.prv', 'rsa.pub'].map((file) => statSync(join(own, file)).mode & 0o777);
    expect(modes).toEqual([0o700, 0o700, 0o600, 0o600]);
    expect(readFileSync(join(own, 'rsa.prv'), 'latin1')).toMatch(/^-----BEGIN RSA PRIVATE KEY-----\n/);
    expect(readFileSync(join(own, 'rsa.pub'), 'latin1')).toMatch(/^-----BEGIN PUBLIC KEY-----\n/);
    expect((await readRules(own)).problems).toEqual([]);
  });

  it.each(['rsa.prv', 'rsa.pub'])('leaves everything as it is when %s is there', async (file) => {
    writeFileSync(join(directory, file), 'precious');
    const { code, noted } = await run(['init'], { SPANMESH_KEYS_DIR: directory });
    expect([code, noted]).toEqual([1, 'spanmesh: DIR has a key already; nothing was changed\n']);
    expect(readdirSync(directory)).toEqual([file]);
    expect(readFileSync(join(directory, file), 'utf8')).toBe('precious');
  });

  it('says when it cannot write', async () => {
    writeFileSync(join(directory, 'file'), '');
    const { code, noted } = await run(['init', join(directory, 'file')]);
    expect([code, noted]).toEqual([
      1,
      expect.stringMatching(/^spanmesh: cannot write keys to DIR\/file: E|has a key already/),
    ]);
  });

  it('asks for a directory when none is given', async () => {
    expect(await run(['init'])).toMatchObject({ code: 2, noted: expect.stringMatching(/which directory/) });
  });
});

describe('keys check', () => {
  const remote = (file: string, content: string) => writeFileSync(join(directory, 'remote', file), content);

  beforeEach(async () => {
    await run(['init', directory]);
    remote('10.1.0.0_16.pub', readFileSync(join(directory, 'rsa.pub'), 'latin1'));
    remote('10.2.0.0_16.none', '');
    remote('10.3.0.1.pub', 'no key');
  });

  it.each([
    [
      '10.1.2.3',
      /^10\.1\.2\.3: encrypted, by remote\/10\.1\.0\.0_16\.pub\n {2}key of the peer {2}SHA256:(\S+)\n {2}key of this host SHA256:\1\n/,
    ],
    ['::ffff:10.2.0.1', /^10\.2\.0\.1: plaintext, by remote\/10\.2\.0\.0_16\.none\n/],
    [
      '10.3.0.1',
      /^10\.3\.0\.1: refused, by remote\/10\.3\.0\.1\.pub: KEYFMT: peer's public key: not the expected kind of PEM\n/,
    ],
    ['2001:DB8::1', /^2001:db8::1: refused: no file in remote\//],
  ])('says how %s is admitted', async (address, expected) => {
    const { code, printed } = await run(['check', address, directory]);
    expect(code).toBe(0);
    expect(printed).toMatch(expected);
    // A broken file is reported whichever peer is asked about.
    expect(printed).toMatch(/problem: remote\/10\.3\.0\.1\.pub KEYFMT: .*\n$/);
  });

  it('takes only numeric addresses, and a directory that exists', async () => {
    expect(await run(['check', 'host', directory])).toMatchObject({ code: 2 });
    expect(await run(['check', '10.1.1.1', join(directory, 'none')])).toMatchObject({
      code: 1,
      noted: 'spanmesh: DIR/none: the keys directory is not there, or is not a directory\n',
    });
  });
});
