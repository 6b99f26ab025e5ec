import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readRules } from '@spanmesh/dmsg-socket/keys/read-rules';
import { readSettings } from '@spanmesh/runtime/settings/setting';
import { settings } from '@spanmesh/standalone/settings';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from '../main.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';

describe('migrate', () => {
  let directory: string;
  let from: string;
  let to: string;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'spanmesh-migrate-'));
    from = join(directory, 'hammer2');
    to = join(directory, 'spanmesh');
    expect((await run('keys', 'init', from)).code).toBe(0);
    writeFileSync(join(from, 'remote/192.0.2.11.pub'), readFileSync(join(from, 'rsa.pub')));
    writeFileSync(join(from, 'remote/192.0.2.12.none'), '');
    writeFileSync(join(from, 'autoconn'), '# peers\n192.0.2.11\n192.0.2.12 by cable\n');
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  async function run(...args: string[]): Promise<{ code: number; printed: string; noted: string }> {
    const terminal = new RecordingTerminal();
    const code = await main(args, terminal);
    const plain = (text: string) => text.replaceAll(directory, 'DIR');
    return { code, printed: plain(terminal.printed), noted: plain(terminal.noted) };
  }

  it('prints what it would do, and does nothing', async () => {
    const { code, printed } = await run('migrate', from, '--to', to);
    expect(code).toBe(0);
    expect(printed.split('\n')).toEqual([
      'DIR/hammer2: 2 files of peers, 2 hosts to stay connected to',
      'copy  DIR/hammer2/rsa.prv -> DIR/spanmesh/keys/rsa.prv',
      'copy  DIR/hammer2/rsa.pub -> DIR/spanmesh/keys/rsa.pub',
      'copy  DIR/hammer2/remote/192.0.2.11.pub -> DIR/spanmesh/keys/remote/192.0.2.11.pub',
      'copy  DIR/hammer2/remote/192.0.2.12.none -> DIR/spanmesh/keys/remote/192.0.2.12.none',
      'write DIR/spanmesh/migrated.env',
      '        SPANMESH_DMSG_LISTEN=[::]:987',
      '        SPANMESH_KEYS_DIR=DIR/spanmesh/keys',
      '        SPANMESH_AUTOCONN_FILE=DIR/hammer2/autoconn',
      'nothing was written: --apply does it',
      '',
    ]);
    expect(readdirSync(directory)).toEqual(['hammer2']);
  });

  it('with --apply writes files that mean to the gateway what the reference’s meant', async () => {
    expect((await run('migrate', from, '--to', to, '--apply')).code).toBe(0);
    const before = await readRules(from);
    const after = await readRules(join(to, 'keys'));
    expect(after.problems).toEqual([]);
    for (const address of ['192.0.2.11', '192.0.2.12', '192.0.2.13']) {
      expect(after.rules.of(address).kind).toBe(before.rules.of(address).kind);
    }
    expect(after.rules.of('192.0.2.11').kind).toBe('encrypted');
    expect(statSync(join(to, 'keys/rsa.prv')).mode & 0o777).toBe(0o600);
    const lines = readFileSync(join(to, 'migrated.env'), 'utf8').matchAll(/^(\w+)=(.*)$/gm);
    const env = Object.fromEntries([...lines].map(([, name, value]) => [name!, value!]));
    expect(readSettings(settings, { env, flags: {} })).toMatchObject({
      autoconnFile: join(from, 'autoconn'),
      keysDir: join(to, 'keys'),
    });
  });

  it('overwrites nothing, and if it would, writes nothing at all', async () => {
    mkdirSync(join(to, 'keys'), { recursive: true });
    writeFileSync(join(to, 'keys/rsa.pub'), 'precious');
    const { code, noted } = await run('migrate', from, '--to', to, '--apply');
    expect([code, noted]).toEqual([
      1,
      'spanmesh: nothing is overwritten: DIR/spanmesh/keys/rsa.pub is there already\n',
    ]);
    expect(readdirSync(join(to, 'keys'))).toEqual(['rsa.pub']);
    expect(readFileSync(join(to, 'keys/rsa.pub'), 'utf8')).toBe('precious');
  });

  it('reports files that cannot be taken over as they are', async () => {
    writeFileSync(join(from, 'remote/vol1.pub'), 'not named by an address');
    writeFileSync(join(from, 'autoconn'), 'a/b\n');
    const { printed } = await run('migrate', from, '--to', to);
    expect(printed).toMatch(/^problem: remote\/vol1\.pub not named ADDRESS\.pub/m);
    expect(printed).toMatch(/^problem: autoconn line 1 is no host$/m);
  });

  it('refuses a directory without a private key', async () => {
    rmSync(join(from, 'rsa.prv'));
    const { code, noted } = await run('migrate', from, '--to', to);
    expect([code, noted]).toEqual([
      1,
      'spanmesh: cannot read DIR/hammer2/rsa.prv: there is no such file or directory\n',
    ]);
  });
});
