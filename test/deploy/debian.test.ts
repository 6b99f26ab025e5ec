import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSettings } from '@spanmesh/runtime/settings/setting';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packForDebian } from '../../deploy/package/debian.ts';
import { SERVICE_SETTINGS, settingNames } from './setting-names.ts';

/** Time to build the package on a slow machine, milliseconds. */
const PATIENCE_MS = 300_000;
const SOURCES = join(import.meta.dirname, '../../deploy/debian');
/** The highest accepted exposure by systemd-analyze, in tenths: the unit has 1.8. */
const EXPOSURE = 20;

const has = (program: string) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0;
const unit = readFileSync(join(SOURCES, 'spanmesh@.service'), 'utf8');

/** The settings in a file of NAME=value lines. */
function settingsIn(file: string): Record<string, string> {
  const lines = readFileSync(join(SOURCES, file), 'utf8').matchAll(/^(\w+)=(.*)$/gm);
  return Object.fromEntries([...lines].map(([, name, value]) => [name!, value!]));
}

describe.runIf(has('dpkg-deb'))('the Debian package', () => {
  let home: string;
  let file: string;

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'spanmesh-debian-'));
    mkdirSync(join(home, 'work'));
    file = await packForDebian(join(home, 'work'), home, { compression: 'none' });
    rmSync(join(home, 'work'), { recursive: true });
    execFileSync('dpkg-deb', ['-x', file, join(home, 'root')]);
  }, PATIENCE_MS);

  afterAll(() => rmSync(home, { recursive: true, force: true }));

  it('has the project’s version, and keeps settings that an operator has changed', () => {
    const field = (name: string) => execFileSync('dpkg-deb', ['-f', file, name], { encoding: 'utf8' }).trim();
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
      version: string;
    };
    expect(field('Version')).toBe(version);
    const conffiles = execFileSync('dpkg-deb', ['--ctrl-tarfile', file], { maxBuffer: 2 ** 24 }).toString('latin1');
    expect(conffiles).toContain('/etc/spanmesh/spanmesh.env\n/etc/spanmesh/standalone.env\n');
  });

  it('runs with the files in it', () => {
    const command = join(home, 'root/usr/lib/spanmesh/lib/spanmesh.mjs');
    expect(statSync(command).mode & 0o111).toBe(0o111);
    expect(readFileSync(command, 'utf8')).toMatch(/^#!\/usr\/lib\/spanmesh\/node\n/);
    const node = join(home, 'root/usr/lib/spanmesh/node');
    expect(execFileSync(node, [command, '--version'], { encoding: 'utf8' })).toMatch(/^\d+\.\d+\.\d+\n$/);
    const crc = `if (require('@node-rs/crc32').crc32('a') !== 0xe8b7be43) process.exit(1)`;
    expect(spawnSync(node, ['-e', crc], { cwd: join(home, 'root/usr/lib/spanmesh') }).status).toBe(0);
  });

  it.runIf(has('systemd-analyze'))('has a unit that systemd accepts, and that has few rights', () => {
    // The command is in the folder to which the package was unpacked.
    const path = join(home, 'spanmesh@.service');
    writeFileSync(path, unit.replaceAll('/usr/lib/spanmesh', join(home, 'root/usr/lib/spanmesh')));
    const analyze = (...args: string[]) => spawnSync('systemd-analyze', args, { encoding: 'utf8' });
    // Complaints about manual pages and users of this machine do not count, only those about the unit.
    const verified = analyze('verify', '--man=no', path.replace('@', '@standalone'));
    expect(verified.stderr.split('\n').filter((line) => line.includes('spanmesh@'))).toEqual([]);
    const { status, stdout } = analyze('security', '--offline=true', `--threshold=${EXPOSURE}`, path);
    expect(status, stdout).toBe(0);
  });
});

describe('the shipped settings', () => {
  it('are known, with valid values', () => {
    const env = { ...settingsIn('spanmesh.env'), ...settingsIn('standalone.env') };
    for (const name of Object.keys(env)) expect(settingNames('standalone')).toContain(name);
    expect(() => readSettings(SERVICE_SETTINGS.standalone!, { env, flags: {} })).not.toThrow();
  });

  it('give a stopping gateway the time that its drain takes', () => {
    const [, seconds] = /^TimeoutStopSec=(\d+)$/m.exec(unit) ?? [];
    expect(Number(seconds)).toBeGreaterThan(30);
  });
});
