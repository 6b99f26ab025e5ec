import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from '../main.ts';
import { FakeProcesses } from '../process.fixture.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';

let fake: FakeProcesses;
let terminal: RecordingTerminal;
beforeEach(async () => {
  fake = new FakeProcesses();
  await fake.server.start();
  terminal = new RecordingTerminal();
});
afterEach(() => fake.server.stop());

const run = (...args: string[]) => main(['log-level', ...args, '--address', fake.server.address], terminal);
const lines = () => terminal.printed.trimEnd().split('\n');

describe('spanmesh log-level', () => {
  it('shows the level of each process', async () => {
    expect(await run()).toBe(0);
    expect(lines().slice(1)).toEqual([
      'link-gateway-a-8  gw-1.0badcafe  info   info        -      -',
      'topology-a-7      -              info   info        -      -',
    ]);
    expect(terminal.noted).toBe('');
  });

  it('says if other processes could not be asked', async () => {
    fake.alone = true;
    expect(await run('-o', 'json')).toBe(0);
    expect(JSON.parse(terminal.printed)).toMatchObject({ alone: true, processes: [{ natsLosses: 0 }, {}] });
    expect(terminal.noted).toMatch(/NATS is away/);
  });

  it('prints a list with the usual options', async () => {
    expect(await run('--sort=-process', '--columns', 'process,service', '--limit', '1')).toBe(0);
    expect(terminal.printed).toBe('PROCESS       SERVICE\ntopology-a-7  topology\n');
    expect(await run('-o', 'yaml', '--limit', '1')).toBe(0);
    expect(terminal.printed).toMatch(/^processes:\n {2}- id: link-gateway-a-8\n/m);
    expect(terminal.printed).toContain('\nansweredBy: topology-a-7\n');
    expect(terminal.printed).not.toContain('id: topology-a-7');
  });

  it('names processes whose level has not changed', async () => {
    fake.unreached = ['volconf-a-9'];
    expect(await run('debug')).toBe(0);
    expect(terminal.noted).toMatch(/not changed: volconf-a-9; a gateway orders nobody else/);
  });

  it('changes the level, for a while, and shows which processes have changed', async () => {
    expect(await run('debug', '--service', 'link-gateway', '--for', '10m')).toBe(0);
    expect(fake.sets).toEqual([{ level: 'debug', service: 'link-gateway', process: '', durationMs: 600_000 }]);
    expect(lines()).toHaveLength(2);
    expect(lines()[1]).toMatch(/debug +info +2026-01-31 12:00:00Z +\\x1b ann$/);
  });

  it('returns one process to its setting', async () => {
    expect(await run('configured', '--process', 'gw-1')).toBe(0);
    expect(fake.sets).toEqual([{ level: '', service: '', process: 'gw-1', durationMs: 0 }]);
  });

  it('fails if no process fits', async () => {
    expect(await run('debug', '--service', 'volconf')).toBe(1);
    expect(terminal.noted).toBe('spanmesh: No process that answers fits.\n');
  });

  it.each([
    [['loud'], /no such level: trace, .*, configured/],
    [['--service', 'topology'], /which level\?/],
    [['debug', '--service', 'dns'], /Allowed choices/],
    [['debug', '--for', 'ever'], /Expected a time/],
    [['debug', '--watch'], /--watch is for looking/],
    [['debug', '--sort', 'colour'], /there is no column colour/],
  ])('refuses %j', async (args, why) => {
    expect(await run(...args)).toBe(2);
    expect(terminal.noted).toMatch(why);
    expect(fake.sets).toEqual([]);
  });
});
