import { mkdirSync, mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TargetOrigin } from '@spanmesh/proto/v1/volconf';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AUTOCONN_LOOK_MS, MAX_AUTOCONN_BYTES, MAX_AUTOCONN_HOSTS } from '../limits.ts';
import { showOperator } from '../show-target.ts';
import { World } from '../testing/world.fixture.ts';
import { AutoconnFile, parseAutoconn } from './autoconn-file.ts';

describe('an autoconn file', () => {
  it('names a host with the first word of each line', () => {
    const text =
      '# peers\n\nvol1.example.org\n  192.0.2.7\tthe second one\n2001:db8::1 # by IPv6\nvol1.example.org again\r\n';
    expect(parseAutoconn(text)).toEqual({ hosts: ['vol1.example.org', '192.0.2.7', '2001:db8::1'], problems: [] });
    expect(parseAutoconn('host:1987#no space')).toEqual({ hosts: ['host:1987'], problems: [] });
  });

  it('may have lines that name no host, which are reported by number', () => {
    expect(parseAutoconn('a\nb/c\n-d\n[::1\nhost:99999').problems.map(({ line }) => line)).toEqual([2, 3, 4, 5]);
  });

  // Limits: volconf/src/limits.ts MAX_AUTOCONN_HOSTS
  it('may name a limited number of hosts', () => {
    const { hosts, problems } = parseAutoconn(
      Array.from({ length: MAX_AUTOCONN_HOSTS + 2 }, (_, i) => `h${i}`).join('\n'),
    );
    expect(hosts).toHaveLength(MAX_AUTOCONN_HOSTS);
    expect(problems.map(({ line }) => line)).toEqual([MAX_AUTOCONN_HOSTS + 1, MAX_AUTOCONN_HOSTS + 2]);
    // A host that is in the list already may be named again beyond the limit.
    expect(parseAutoconn([...hosts, 'h0'].join('\n'))).toEqual({ hosts, problems: [] });
  });
});

describe('hosts of an autoconn file', () => {
  let directory: string;
  let file: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'spanmesh-autoconn-'));
    file = join(directory, 'autoconn');
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  async function open(): Promise<{
    autoconn: AutoconnFile;
    told: string[];
    names: () => string[];
    log: string[];
    clock: FakeClock;
  }> {
    const clock = new FakeClock();
    const log: string[] = [];
    const logger = createLogger({
      level: 'info',
      service: 'test',
      destination: { write: (line: string) => void log.push(line) },
    });
    const autoconn = new AutoconnFile({ file }, { clock, logger });
    const told: string[] = [];
    autoconn.onChange((name) => told.push(name));
    await autoconn.start();
    return { autoconn, told, log, clock, names: () => [...autoconn.all()].map(({ name }) => name) };
  }

  it('appear and go with their lines, and otherwise remain the same objects', async () => {
    writeFileSync(file, 'a\nb\n');
    const { autoconn, told, names } = await open();
    expect(told).toEqual(['autoconn:a', 'autoconn:b', '']);
    const a = autoconn.get('autoconn:a');
    expect(a).toEqual({ name: 'autoconn:a', path: 'span:a', dialect: 'auto', origin: 'autoconn' });
    writeFileSync(file, 'c\na # still\n');
    await autoconn.look();
    expect(told.slice(3)).toEqual(['autoconn:b', 'autoconn:c']);
    expect(names()).toEqual(['autoconn:c', 'autoconn:a']);
    expect(autoconn.get('autoconn:a')).toBe(a);
    await autoconn.look();
    expect(told).toHaveLength(5);
  });

  it('are none without a file, and go when it is removed, not while it is being replaced', async () => {
    const { autoconn, names } = await open();
    expect([autoconn.loaded, names()]).toEqual([true, []]);
    writeFileSync(file, 'a');
    await autoconn.look();
    unlinkSync(file);
    await autoconn.look();
    expect(names()).toEqual(['autoconn:a']);
    writeFileSync(file, 'a');
    await autoconn.look();
    unlinkSync(file);
    await autoconn.look();
    expect(names()).toEqual(['autoconn:a']);
    await autoconn.look();
    expect(names()).toEqual([]);
  });

  it('are read again every five seconds, until `stop`', async () => {
    const { autoconn, names, clock } = await open();
    for (const host of ['a', 'b']) {
      writeFileSync(file, host);
      clock.advance(AUTOCONN_LOOK_MS - 1);
      await autoconn.look();
      writeFileSync(file, `${host}2`);
      clock.advance(1);
      // Waits for the look that the clock has started.
      await autoconn.look();
      expect(names()).toEqual([`autoconn:${host}2`]);
      await new Promise((resolve) => setImmediate(resolve));
      expect(clock.pending).toBe(1);
    }
    autoconn.stop();
    expect(clock.pending).toBe(0);
    writeFileSync(file, 'c');
    await autoconn.look();
    expect(names()).toEqual(['autoconn:b2']);
  });

  it('are not read again after `stop` during a look', async () => {
    const { autoconn, clock } = await open();
    clock.advance(AUTOCONN_LOOK_MS);
    autoconn.stop();
    await autoconn.look();
    await new Promise((resolve) => setImmediate(resolve));
    expect(clock.pending).toBe(0);
  });

  it('and lines that name no host are logged, each time that the file has changed', async () => {
    writeFileSync(file, 'a\n-d\n');
    const { autoconn, log } = await open();
    const lines = () =>
      log.map((line) => JSON.parse(line)).map(({ msg, hosts, line }) => [msg, hosts ?? line] as const);
    const once = [
      ['autoconn file read', 1],
      ['a line of the autoconn file is ignored', 2],
    ];
    expect(lines()).toEqual(once);
    await autoconn.look();
    expect(lines()).toEqual(once);
    writeFileSync(file, 'a\nb\n-d\n');
    await autoconn.look();
    expect(lines().slice(2)).toEqual([
      ['autoconn file read', 2],
      ['a line of the autoconn file is ignored', 3],
    ]);
  });

  it('are reported to a listener until it unsubscribes', async () => {
    writeFileSync(file, 'a');
    const { autoconn } = await open();
    const told: string[] = [];
    const subscription = autoconn.onChange((name) => told.push(name));
    writeFileSync(file, 'b');
    await autoconn.look();
    subscription.unsubscribe();
    writeFileSync(file, 'c');
    await autoconn.look();
    expect(told).toEqual(['autoconn:a', 'autoconn:b']);
  });

  it('are none if the file is a directory, or below another file', async () => {
    mkdirSync(file);
    const first = await open();
    expect([first.autoconn.loaded, first.log.length]).toEqual([false, 1]);
    rmSync(file, { recursive: true });
    writeFileSync(file, 'a');
    file = join(file, 'below');
    const second = await open();
    expect([second.autoconn.loaded, second.names()]).toEqual([true, []]);
  });

  // Limits: volconf/src/limits.ts MAX_AUTOCONN_BYTES
  it('are read from a file of the largest allowed size, and remain when the file is larger', async () => {
    const largest = `a\n#${'x'.repeat(MAX_AUTOCONN_BYTES - 3)}`;
    writeFileSync(file, largest);
    const { autoconn, names, log } = await open();
    expect(names()).toEqual(['autoconn:a']);
    writeFileSync(file, `b${largest}`);
    await autoconn.look();
    expect(names()).toEqual(['autoconn:a']);
    expect(log.at(-1)).toContain('larger than');
    // The file is valid again, then too large again, which is logged again.
    writeFileSync(file, largest);
    await autoconn.look();
    const before = log.length;
    writeFileSync(file, `b${largest}`);
    await autoconn.look();
    expect(log).toHaveLength(before + 1);
  });

  it('remain when the file cannot be used, which is logged once', async () => {
    writeFileSync(file, 'a');
    const { autoconn, names, log } = await open();
    const before = log.length;
    writeFileSync(file, Buffer.alloc(MAX_AUTOCONN_BYTES + 1, 'b'));
    await autoconn.look();
    await autoconn.look();
    expect(names()).toEqual(['autoconn:a']);
    expect(log.slice(before)).toEqual([expect.stringContaining('cannot be read')]);
  });

  it('are connected, shown with their own origin, and disconnected when their line goes', async () => {
    writeFileSync(file, 'a # one\nb:1000\n');
    const world = await World.start({ env: { SPANMESH_AUTOCONN_FILE: file } });
    try {
      await world.advance(100);
      expect(world.connections()).toEqual(['autoconn:a a:987', 'autoconn:b:1000 b:1000']);
      const { asked, target } = world.leader.term!.operator('autoconn:a')!;
      expect(showOperator(asked, target, { now: 0, wall: 0, idOf: String })).toMatchObject({
        name: 'autoconn:a',
        origin: TargetOrigin.TARGET_ORIGIN_AUTOCONN,
        path: 'span:a',
      });
      writeFileSync(file, 'a\n');
      await world.leader.autoconn!.look();
      await world.advance(100);
      expect(world.connections()).toEqual(['autoconn:a a:987']);
      // Another leader with the same file adopts the established connections.
      await world.stopReplica(world.leader);
      await world.addReplica();
      await world.advance(100);
      expect(world.connections()).toEqual(['autoconn:a a:987']);
      expect(world.gateway.log).toHaveLength(3);
    } finally {
      await world.stop();
    }
  });
});
