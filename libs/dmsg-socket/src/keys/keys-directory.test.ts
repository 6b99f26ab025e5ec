import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { afterEach, describe, expect, it } from 'vitest';
import { TestDirectory, testKeys } from './keys.fixture.ts';
import { type KeysChange, KeysDirectory } from './keys-directory.ts';
import { MAX_KEY_FILE_BYTES } from './limits.ts';
import { readRules } from './read-rules.ts';

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
  const told: KeysChange[] = [];
  const keys = new KeysDirectory({ directory: path }, { clock, logger, changed: (change) => told.push(change) });
  await keys.start();
  running.push(keys);
  return { keys, clock, log, told };
}

describe('a keys directory', () => {
  it('reports when it was read again, and which of its files cannot be used', async () => {
    const where = directory({ 'remote/10.0.0.1.pub': theirs.pub });
    const { keys, told } = await started(where.path);
    expect(told).toEqual([]);
    where.write('remote/10.0.0.2.pub', 'no key');
    await keys.look();
    expect(told.map(({ file, problem }) => [file, problem === null])).toEqual([
      ['remote/10.0.0.2.pub', false],
      [where.path, true],
    ]);
  });

  it('says what access each peer has, and which file says so', async () => {
    const { rules, problems, peers } = await readRules(
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
  ])('a key file that is %s refuses its peer, and affects nobody else', async (_what, content, why) => {
    const { rules, problems } = await readRules(
      directory({
        'remote/10.0.0.1.pub': content,
        // Neither the peer's own .none nor the wider rule is used instead.
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

  // Limits: keys/limits.ts MAX_KEY_FILE_BYTES
  it('has key files of 16 KiB at most', async () => {
    const { rules, problems } = await readRules(
      directory({
        'remote/10.0.0.1.pub': theirs.pub.padEnd(MAX_KEY_FILE_BYTES),
        'remote/10.0.0.2.pub': theirs.pub.padEnd(MAX_KEY_FILE_BYTES + 1),
      }).path,
    );
    expect(rules.of('10.0.0.1').kind).toBe('encrypted');
    expect(rules.of('10.0.0.2')).toMatchObject({ kind: 'refused', refusal: 'bad-key' });
    expect(problems).toEqual([{ file: 'remote/10.0.0.2.pub', problem: 'KEYFMT: too large for a key' }]);
  });

  it('without a good private key refuses peers with keys, and lets in those without', async () => {
    for (const content of ['', 'x', ours.pub, small.prv]) {
      const where = directory({ 'rsa.prv': content, 'remote/10.0.0.1.pub': theirs.pub, 'remote/10.0.0.2.none': '' });
      const { rules, problems } = await readRules(where.path);
      expect(rules.of('10.0.0.1')).toMatchObject({ kind: 'refused', refusal: 'no-own-key', file: 'rsa.prv' });
      expect(rules.of('10.0.0.2').kind).toBe('plaintext');
      expect(problems.map(({ file }) => file)).toEqual(['rsa.prv']);
    }
  });

  it.each([0o640, 0o620, 0o604, 0o602])('does not use a private key that others may use, mode %o', async (mode) => {
    const where = directory({ 'remote/10.0.0.1.pub': theirs.pub, 'remote/10.0.0.2.none': '' });
    const path = join(where.path, 'rsa.prv');
    chmodSync(path, mode);
    const { problems, rules } = await readRules(where.path);
    const problem = `KEYFMT: others on this host may use it (mode 0${mode.toString(8)}): chmod 0600 ${path}`;
    expect(problems).toEqual([{ file: 'rsa.prv', problem }]);
    expect(rules.of('10.0.0.1')).toMatchObject({ kind: 'refused', refusal: 'no-own-key', why: problem });
    expect(rules.of('10.0.0.2').kind).toBe('plaintext');
  });

  it('takes keys with unusual exponents only where a file says so', async () => {
    const three = testKeys(2048, 3);
    const { rules, problems } = await readRules(
      directory({
        'remote/10.0.0.1.pub': three.pub,
        'remote/10.0.0.2.pub': three.pub,
        'remote/10.0.0.2.exponent': '',
      }).path,
    );
    expect(rules.of('10.0.0.1')).toMatchObject({ kind: 'refused', refusal: 'bad-key' });
    expect(rules.of('10.0.0.2').kind).toBe('encrypted');
    const problem = "KEYFMT: peer's public key: its public exponent is not 65537";
    expect(problems).toEqual([{ file: 'remote/10.0.0.1.pub', problem }]);
  });

  it('asks for bound handshakes where a file says so', async () => {
    const { rules } = await readRules(
      directory({
        'remote/10.0.0.1.pub': theirs.pub,
        'remote/10.0.0.2.pub': theirs.pub,
        'remote/10.0.0.2.bound': '',
      }).path,
    );
    expect([rules.of('10.0.0.1'), rules.of('10.0.0.2')]).toMatchObject([{ bound: false }, { bound: true }]);
  });

  it('a .refused is stronger than everything else, even than narrower files', async () => {
    const { rules, problems } = await readRules(
      directory({
        'remote/10.0.0.0_8.refused': '',
        'remote/10.0.0.1.pub': theirs.pub,
        'remote/10.0.0.2.none': '',
        'remote/11.0.0.1.pub': theirs.pub,
        'remote/11.0.0.1.refused': '',
        'remote/11.0.0.0_8.none': '',
      }).path,
    );
    expect(problems).toEqual([]);
    expect(
      ['10.0.0.1', '10.0.0.2', '10.9.9.9', '11.0.0.1', '11.0.0.2'].map((address) => rules.of(address)),
    ).toMatchObject([
      { refusal: 'revoked', file: 'remote/10.0.0.0_8.refused' },
      { refusal: 'revoked' },
      { refusal: 'revoked' },
      { refusal: 'revoked', file: 'remote/11.0.0.1.refused' },
      { kind: 'plaintext' },
    ]);
  });

  it('reports mistakes: names, duplicates, an .untagged alone, the wrong rsa.pub', async () => {
    const where = directory({
      'rsa.pub': theirs.pub,
      'remote/host.pub': theirs.pub,
      'remote/2001:db8::1.none': '',
      'remote/2001-db8--1.none': '',
      'remote/10.0.0.1.untagged': '',
      'remote/.hidden': '',
    });
    const { problems, rules } = await readRules(where.path);
    expect(problems.map(({ file }) => file).sort()).toEqual([
      'remote/10.0.0.1.untagged',
      'remote/2001:db8::1.none',
      'remote/host.pub',
      'rsa.pub',
    ]);
    expect(rules.of('10.0.0.1').kind).toBe('refused');
    expect(rules.of('2001:db8::1').kind).toBe('plaintext');
  });

  it('must exist at start; without remote/ it lets nobody in', async () => {
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

  it('does not count as changed when the same content is written anew', async () => {
    const where = directory({ 'remote/10.0.0.1.none': '', 'remote/10.0.0.2.none': 'text' });
    const { keys } = await started(where.path);
    // As in a mounted Secret: another file, with another time, but the same content.
    rmSync(join(where.path, 'remote/10.0.0.2.none'));
    where.write('remote/10.0.0.2.none', 'text');
    await keys.look();
    expect(keys.reloads).toBe(0);
    where.write('remote/10.0.0.2.none', 'other');
    await keys.look();
    await keys.look();
    expect(keys.reloads).toBe(1);
  });

  it('is looked at repeatedly, without being asked', async () => {
    const where = directory();
    const { keys, clock } = await started(where.path);
    where.write('remote/10.0.0.2.none', '');
    clock.advance(5_000);
    // This look is queued behind the one that the clock has started.
    await keys.look();
    expect(keys.of('10.0.0.2').kind).toBe('plaintext');
  });

  it('follows the symbolic links by which a mounted Secret is replaced', async () => {
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

  // Causes: line the keys directory cannot be read; what it said before stays in force
  it('stays in force when it cannot be read any more, and reports that once', async () => {
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

  it('uses a new private key', async () => {
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

describe('a key that is taken away', () => {
  const wide = { 'remote/10.0.0.0_8.none': '', 'remote/10.0.0.7.pub': theirs.pub };
  const remove = (where: TestDirectory, file: string) => rmSync(join(where.path, 'remote', file));
  const kind = (keys: KeysDirectory, address = '10.0.0.7') => {
    const access = keys.of(address);
    return access.kind === 'refused' ? access.refusal : access.kind;
  };

  /** Looks at the directory, waits until a missing file counts as taken away, and looks again. */
  async function lookLong({ keys, clock }: Awaited<ReturnType<typeof started>>): Promise<void> {
    await keys.look();
    clock.advance(1_000);
    await keys.look();
  }

  it('keeps its peer out of plaintext, whatever the rule, until a file of its own allows that', async () => {
    const where = directory(wide);
    const world = await started(where.path);
    const { keys, log } = world;
    remove(where, '10.0.0.7.pub');
    await lookLong(world);
    expect([kind(keys), kind(keys, '10.0.0.8')]).toEqual(['key-withdrawn', 'plaintext']);
    expect(keys.problems).toBe(1);
    expect(log.join()).toContain('remote/10.0.0.0_8.none would let its peer in in plaintext');
    where.write('remote/10.0.0.7.none', '');
    await keys.look();
    expect([kind(keys), keys.problems]).toEqual(['plaintext', 0]);
    remove(where, '10.0.0.7.none');
    await keys.look();
    expect(kind(keys)).toBe('plaintext');
  });

  it('stays valid for a moment, so that a file can be replaced in two steps', async () => {
    const where = directory(wide);
    const { keys, clock } = await started(where.path);
    remove(where, '10.0.0.7.pub');
    await keys.look();
    clock.advance(999);
    await keys.look();
    expect(kind(keys)).toBe('encrypted');
    const next = testKeys();
    where.write('remote/10.0.0.7.pub', next.pub);
    await keys.look();
    clock.advance(10_000);
    await keys.look();
    const access = keys.of('10.0.0.7');
    expect(access.kind === 'encrypted' && access.peer.equals(next.shown)).toBe(true);
  });

  it('counts as taken away at once when there is a .refused', async () => {
    const where = directory(wide);
    const { keys } = await started(where.path);
    remove(where, '10.0.0.7.pub');
    where.write('remote/10.0.0.7.refused', '');
    await keys.look();
    expect(kind(keys)).toBe('revoked');
  });

  it('is not replaced by a .none that was beside it: that has to be put there anew', async () => {
    const where = directory({ 'remote/10.0.0.7.pub': theirs.pub, 'remote/10.0.0.7.none': '' });
    const world = await started(where.path);
    remove(where, '10.0.0.7.pub');
    await lookLong(world);
    expect(kind(world.keys)).toBe('key-withdrawn');
    remove(where, '10.0.0.7.none');
    await world.keys.look();
    expect(kind(world.keys)).toBe('no-key');
    where.write('remote/10.0.0.7.none', '');
    await world.keys.look();
    expect(kind(world.keys)).toBe('plaintext');
  });

  it('leaves its peer to a wider key, and to narrower files', async () => {
    const where = directory({
      ...wide,
      'remote/10.0.0.0_24.pub': theirs.pub,
      'remote/10.1.0.0_16.pub': theirs.pub,
      'remote/10.1.2.3.none': '',
    });
    const world = await started(where.path);
    remove(where, '10.0.0.7.pub');
    remove(where, '10.1.0.0_16.pub');
    await lookLong(world);
    expect([kind(world.keys), kind(world.keys, '10.1.2.3'), kind(world.keys, '10.1.2.4')]).toEqual([
      'encrypted',
      'plaintext',
      'key-withdrawn',
    ]);
  });

  it('is remembered over a restart, even if it was taken away in between', async () => {
    const where = directory({ ...wide, 'remote/10.0.0.9.pub': theirs.pub });
    const first = await started(where.path);
    remove(where, '10.0.0.7.pub');
    await lookLong(first);
    first.keys.stop();
    remove(where, '10.0.0.9.pub');
    const { keys } = await started(where.path);
    expect([kind(keys), kind(keys, '10.0.0.9'), kind(keys, '10.0.0.8')]).toEqual([
      'key-withdrawn',
      'key-withdrawn',
      'plaintext',
    ]);
    expect((await readRules(where.path)).rules.of('10.0.0.7')).toMatchObject({ refusal: 'key-withdrawn' });
  });

  it('is remembered only in memory where the directory cannot be written, which is reported once', async () => {
    const where = directory(wide);
    // Not even root can write a file in the place of a directory.
    mkdirSync(join(where.path, 'seen-keys'));
    const world = await started(where.path);
    remove(where, '10.0.0.7.pub');
    await lookLong(world);
    expect(kind(world.keys)).toBe('key-withdrawn');
    expect(world.log.filter((line) => line.includes('a restart forgets keys'))).toHaveLength(1);
    expect((await readRules(where.path)).problems.map(({ file }) => file)).toEqual(['seen-keys']);
  });
});
