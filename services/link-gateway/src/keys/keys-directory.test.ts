import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { createLogger } from '@spanmesh/runtime/logger';
import { afterEach, describe, expect, it } from 'vitest';
import { readKeyFiles } from './key-files.ts';
import { TestDirectory, testKeys } from './keys.fixture.ts';
import { KeysDirectory } from './keys-directory.ts';

const ours = testKeys();
const theirs = testKeys();
const small = testKeys(1024);

const made: { remove(): void }[] = [];
const running: KeysDirectory[] = [];

function directory(files: Record<string, string> = {}): TestDirectory {
  const one = new TestDirectory({ 'rsa.prv': ours.prv, 'rsa.pub': ours.pub, ...files });
  made.push(one);
  return one;
}

afterEach(() => {
  for (const one of running.splice(0)) one.stop();
  for (const one of made.splice(0)) one.remove();
});

async function started(path: string) {
  const log: string[] = [];
  const logger = createLogger({
    level: 'trace',
    service: 'test',
    destination: { write: (line) => void log.push(line) },
  });
  const clock = new FakeClock();
  const keys = new KeysDirectory({ directory: path }, { clock, logger });
  await keys.start();
  running.push(keys);
  return { keys, clock, log };
}

describe('a keys directory', () => {
  it('says who gets what, and which file says so', async () => {
    const { rules, problems, peers } = await readKeyFiles(
      directory({
        'remote/10.0.0.1.pub': theirs.pub,
        'remote/10.0.0.2.none': '',
        'remote/10.0.0.3.pub': theirs.pub,
        'remote/10.0.0.3.none': '',
        'remote/10.0.0.4.pub': theirs.pub,
        'remote/10.0.0.4.untagged': '',
        'remote/10.1.0.0_16.none': '',
        'remote/10.1.1.0_24.pub': theirs.pub,
      }).path,
    );
    expect(problems).toEqual([]);
    expect(peers).toBe(6);
    const of = (address: string) => {
      const access = rules.of(address);
      return access.kind === 'encrypted' ? `${access.file} ${access.tagged}` : `${access.kind} ${access.file}`;
    };
    expect(
      ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', '10.1.2.3', '10.1.1.3', '10.2.0.1', '127.0.0.1'].map(of),
    ).toEqual([
      'remote/10.0.0.1.pub true',
      'plaintext remote/10.0.0.2.none',
      'remote/10.0.0.3.pub true',
      'remote/10.0.0.4.pub false',
      'plaintext remote/10.1.0.0_16.none',
      'remote/10.1.1.0_24.pub true',
      'refused null',
      'refused null',
    ]);
  });

  it.each([
    ['no PEM', 'hello', /KEYFMT: .*not the expected kind of PEM/],
    ['empty', '', /NORKEY/],
    ['a private key', theirs.prv, /KEYFMT: .*not the expected kind of PEM/],
    ['1024 bits', small.pub, /KEYFMT: .*not RSA of 2048 bits/],
    ['cut', theirs.pub.slice(0, 200), /KEYFMT: .*cannot be read/],
    ['far too large', `${theirs.pub}${' '.repeat(20_000)}`, /KEYFMT: too large/],
  ])('a key file that is %s refuses its peer, and concerns nobody else', async (_what, content, why) => {
    const { rules, problems } = await readKeyFiles(
      directory({
        'remote/10.0.0.1.pub': content,
        // Neither plaintext of its own nor the wider rule stands in for it.
        'remote/10.0.0.1.none': '',
        'remote/10.0.0.0_24.none': '',
        'remote/10.9.0.1.pub': theirs.pub,
      }).path,
    );
    expect(rules.of('10.0.0.1')).toMatchObject({ kind: 'refused', refusal: 'bad-key', file: 'remote/10.0.0.1.pub' });
    expect(problems).toHaveLength(1);
    expect(problems[0]!.file).toBe('remote/10.0.0.1.pub');
    expect(problems[0]!.problem).toMatch(why);
    expect(rules.of('10.0.0.2').kind).toBe('plaintext');
    expect(rules.of('10.9.0.1').kind).toBe('encrypted');
  });

  it('without a good private key of its own refuses those with keys, and lets in those without', async () => {
    for (const content of ['', 'x', ours.pub, small.prv]) {
      const where = directory({ 'rsa.prv': content, 'remote/10.0.0.1.pub': theirs.pub, 'remote/10.0.0.2.none': '' });
      const { rules, problems } = await readKeyFiles(where.path);
      expect(rules.of('10.0.0.1')).toMatchObject({ kind: 'refused', refusal: 'no-own-key', file: 'rsa.prv' });
      expect(rules.of('10.0.0.2').kind).toBe('plaintext');
      expect(problems.map(({ file }) => file)).toEqual(['rsa.prv']);
    }
  });

  it('points at slips: names, doubles, an .untagged alone, the wrong rsa.pub, a private key that all can read', async () => {
    const where = directory({
      'rsa.pub': theirs.pub,
      'remote/host.pub': theirs.pub,
      'remote/2001:db8::1.none': '',
      'remote/2001-db8--1.none': '',
      'remote/10.0.0.1.untagged': '',
      'remote/.hidden': '',
    });
    chmodSync(join(where.path, 'rsa.prv'), 0o644);
    const { problems, rules } = await readKeyFiles(where.path);
    expect(problems.map(({ file }) => file).sort()).toEqual([
      'remote/10.0.0.1.untagged',
      'remote/2001:db8::1.none',
      'remote/host.pub',
      'rsa.prv',
      'rsa.pub',
    ]);
    expect(rules.of('10.0.0.1').kind).toBe('refused');
    expect(rules.of('2001:db8::1').kind).toBe('plaintext');
  });

  it('that is not there cannot be started with; without remote/ it lets nobody in', async () => {
    await expect(started(join(directory().path, 'none'))).rejects.toMatchObject({ name: 'KeysError', code: 'missing' });
    const { keys } = await started(directory().path);
    expect(keys.of('127.0.0.1').kind).toBe('refused');
  });
});

describe('a keys directory that changes', () => {
  it('is read again when it is looked at', async () => {
    const where = directory({ 'remote/10.0.0.1.none': '' });
    const { keys } = await started(where.path);
    await keys.look();
    expect(keys.reloads).toBe(0);
    where.write('remote/10.0.0.2.none', '');
    rmSync(join(where.path, 'remote/10.0.0.1.none'));
    await keys.look();
    expect([keys.of('10.0.0.1').kind, keys.of('10.0.0.2').kind, keys.reloads]).toEqual(['refused', 'plaintext', 1]);
  });

  it('is looked at again and again by itself', async () => {
    const where = directory();
    const { keys, clock } = await started(where.path);
    where.write('remote/10.0.0.2.none', '');
    clock.advance(5_000);
    // Queued behind the one that the clock has begun.
    await keys.look();
    expect(keys.of('10.0.0.2').kind).toBe('plaintext');
  });

  it('follows the links by which a mounted Secret is replaced', async () => {
    const where = directory();
    const generation = (name: string, files: Record<string, string>) => {
      for (const [file, content] of Object.entries(files)) where.write(`${name}/remote/${file}`, content);
      symlinkSync(name, join(where.path, '..data_tmp'));
      renameSync(join(where.path, '..data_tmp'), join(where.path, '..data'));
    };
    generation('..one', { '10.0.0.1.none': '' });
    symlinkSync('..data/remote', join(where.path, 'remote'));
    const { keys } = await started(where.path);
    expect(keys.of('10.0.0.1').kind).toBe('plaintext');
    generation('..two', { '10.0.0.1.pub': theirs.pub, '10.0.0.2.none': '' });
    rmSync(join(where.path, '..one'), { recursive: true });
    await keys.look();
    expect([keys.of('10.0.0.1').kind, keys.of('10.0.0.2').kind]).toEqual(['encrypted', 'plaintext']);
  });

  it('stays in force when it cannot be read any more, and says so once', async () => {
    const where = directory({ 'remote/10.0.0.1.none': '' });
    const { keys, log } = await started(where.path);
    rmSync(where.path, { recursive: true });
    await keys.look();
    await keys.look();
    expect(keys.of('10.0.0.1').kind).toBe('plaintext');
    expect(log.filter((line) => line.includes('stays in force'))).toHaveLength(1);
    mkdirSync(where.path);
    await keys.look();
    expect(keys.of('10.0.0.1').kind).toBe('refused');
  });

  it('takes over a new private key', async () => {
    const where = directory({ 'remote/10.0.0.1.pub': theirs.pub });
    const { keys } = await started(where.path);
    const next = testKeys();
    where.write('rsa.prv', next.prv);
    where.write('rsa.pub', next.pub);
    await keys.look();
    const access = keys.of('10.0.0.1');
    expect(access.kind === 'encrypted' && access.own.equals(next.own)).toBe(true);
  });
});
