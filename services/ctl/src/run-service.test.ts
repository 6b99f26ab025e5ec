import { beforeEach, describe, expect, it } from 'vitest';
import { main } from './main.ts';
import { runNamedService } from './run-service.ts';
import { calls } from './service.fixture.ts';
import { RecordingTerminal } from './terminal.fixture.ts';

const CALL = {
  name: 'standalone',
  description: 'Everything.',
  load: () => import('./service.fixture.ts'),
};

describe('spanmesh run SERVICE', () => {
  let terminal: RecordingTerminal;

  beforeEach(() => {
    terminal = new RecordingTerminal();
    calls.length = 0;
  });

  it('hands over only the flags that were given', async () => {
    await runNamedService({ ...CALL, args: ['--dmsg-listen', '127.0.0.1:0', '--log-level=warn'] }, terminal);
    expect(calls).toEqual([{ '--dmsg-listen': '127.0.0.1:0', '--log-level': 'warn' }]);
  });

  it('lists the flags of the service, with the variables that set them, too', async () => {
    await expect(runNamedService({ ...CALL, args: ['--help'] }, terminal)).rejects.toMatchObject({ exitCode: 0 });
    expect(terminal.printed).toContain('Usage: spanmesh run standalone [options]');
    expect(terminal.printed).toContain('--dmsg-listen <value>');
    expect(terminal.printed.replaceAll(/\s+/g, ' ')).toContain(
      'where peers connect (env: SPANMESH_DMSG_LISTEN, default: 127.0.0.1:9987)',
    );
    expect(calls).toEqual([]);
  });

  it('with --check reads the settings, and runs nothing', async () => {
    await runNamedService({ ...CALL, args: ['--check'] }, terminal);
    expect(terminal.printed).toBe('standalone: the settings can be used\n');
    await expect(
      runNamedService({ ...CALL, args: ['--check', '--log-level', 'nonsense'] }, terminal),
    ).rejects.toMatchObject({ name: 'SettingError' });
    expect(calls).toEqual([]);
  });

  it('with --check names variables that are no settings, and those that were meant', async () => {
    const env = { SPANMESH_NO_SUCH: 'secret', SPANMESH_LOG_LEVLE: 'warn', SPANMESH_VOLCONF_RETRY_MAX: '1s' };
    const there = new RecordingTerminal(env);
    expect(await main(['run', 'topology', '--check'], there)).toBe(2);
    expect(there.noted).toBe(
      'spanmesh: SPANMESH_LOG_LEVLE is no setting (did you mean SPANMESH_LOG_LEVEL?); SPANMESH_NO_SUCH is no setting\n',
    );
    expect(there.printed).toBe('');
    await runNamedService({ ...CALL, args: [] }, new RecordingTerminal(env));
    expect(calls).toHaveLength(1);
  });

  it.each([['--nonsense'], ['--log-level'], ['word']])('refuses %s', async (...args) => {
    await expect(runNamedService({ ...CALL, args }, terminal)).rejects.toMatchObject({ exitCode: 1 });
    expect(terminal.noted).toMatch(/^spanmesh: /);
    expect(calls).toEqual([]);
  });
});

describe('spanmesh run', () => {
  it('does not know services that do not exist', async () => {
    const terminal = new RecordingTerminal();
    expect(await main(['run', 'nonsense'], terminal)).toBe(2);
    expect(terminal.noted).toMatch(/^spanmesh: .*\n\(try --help\)\n$/);
  });
});
