import { Target, type WatchTargetsResponse } from '@spanmesh/proto/v1/volconf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from '../main.ts';
import { FakeMessaging } from '../messaging.fixture.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';
import { FakeVolconf, OPERATOR_TARGET, SLOT_TARGET, type TargetWatchCall } from '../volconf.fixture.ts';
import { showTargetChanges } from './show-target-changes.ts';

let volconf: FakeVolconf;
let terminal: RecordingTerminal;

beforeEach(async () => {
  volconf = new FakeVolconf();
  await volconf.server.start();
  terminal = new RecordingTerminal();
});

afterEach(() => volconf.server.stop());

function run(...args: string[]): Promise<number> {
  return main(['volconf', ...args, '--address', volconf.server.address], terminal);
}

describe('spanmesh volconf list', () => {
  it('prints a table of all pages, escaped', async () => {
    expect(await run('list')).toBe(0);
    const lines = terminal.printed.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[1]).toMatch(/0ff\/3 +slot +span:192\.0\.2\.9 +circuit +connect .* 4 +refused \\x1b\[2J$/);
    expect(lines[2]).toMatch(/^lab +operator +span:lab\.example:988 +auto +running +- +192\.0\.2\.7:988 +gw\.1:7 /);
  });

  it('prints one JSON document', async () => {
    expect(await run('list', '-o', 'json')).toBe(0);
    const document = JSON.parse(terminal.printed);
    expect(Object.keys(document)).toEqual(['targets']);
    expect(document.targets[1]).toMatchObject({ name: 'lab', state: 'TARGET_STATE_RUNNING', attempts: 0 });
  });

  it('filters', async () => {
    await run('list', '--state', 'running', '--media', 'ABCD');
    expect(volconf.listed[0]).toMatchObject({ state: 3, mediaId: 'abcd' });
  });
});

describe('spanmesh volconf describe', () => {
  it('prints everything that is known of a target', async () => {
    expect(await run('describe', SLOT_TARGET.name)).toBe(0);
    expect(terminal.printed.split('\n')).toEqual(
      expect.arrayContaining([
        'state       connect',
        'tries       4',
        'next try    2026-01-31 12:00:07Z',
        'last error  2026-01-31 12:00:02Z refused \\x1b[2J',
        'flags       1 ENABLED',
        'priority    15, round-robin',
        'pfs_type    MASTER',
        'label       "DATA"',
        'policy      held back: a better slot is up',
      ]),
    );
    expect(terminal.printed).not.toMatch(/^(gateway|remote)/m);
  });

  it('fails for an unknown target', async () => {
    expect(await run('describe', 'nowhere', '-o', 'json')).toBe(1);
    expect(terminal.noted).toBe('spanmesh: no target nowhere\n');
  });
});

describe('spanmesh volconf set and rm', () => {
  it('sets a target', async () => {
    expect(await run('set', 'lab', 'span:[2001:db8::1]:987', '--dialect', 'linkid')).toBe(0);
    expect(volconf.sets).toEqual([{ name: 'lab', path: 'span:[2001:db8::1]:987', dialect: 1 }]);
    expect(terminal.printed).toBe('lab: span:[2001:db8::1]:987, connect\n');
  });

  it('removes one, once', async () => {
    expect(await run('rm', 'lab')).toBe(0);
    expect(terminal.printed).toBe('lab: removed\n');
    expect(await run('rm', 'lab')).toBe(1);
    expect(terminal.noted).toBe('spanmesh: no target lab\n');
  });

  it.each([[['set', 'lab']], [['nonsense']], [['list', '--state', 'sad']], [['rm']]])('%j is refused', async (args) => {
    expect(await run(...args)).toBe(2);
  });
});

it.each([['list'], ['describe', 'x'], ['set', 'x', 'span:y'], ['rm', 'x'], ['watch']])(
  'volconf %s says in one line that nothing is there',
  async (...args) => {
    volconf.server.stop();
    expect(await run(...args)).toBe(1);
    expect(terminal.noted).toMatch(/^spanmesh: cannot reach 127\.0\.0\.1:\d+: is spanmesh running\? .*\n$/);
    expect(terminal.printed).toBe('');
  },
);

it('says that the address does not serve volconf', async () => {
  const messaging = new FakeMessaging();
  await messaging.server.start();
  const { address } = messaging.server;
  expect(await main(['volconf', 'list', '--address', address], terminal)).toBe(1);
  expect(terminal.noted).toBe(
    `spanmesh: ${address} does not serve volconf: that is a volconf process, port 7985 unless set otherwise; give its --address\n`,
  );
  messaging.server.stop();
});

/** The lines without the times at which they came. */
function untimed(printed: string): string[] {
  return printed.split('\n').map((line) => line.replace(/^\S+ \S+Z /, ''));
}

describe('spanmesh volconf watch', () => {
  let end: AbortController;
  beforeEach(() => {
    end = new AbortController();
  });
  afterEach(() => end.abort());

  const send = (call: TargetWatchCall, ...messages: WatchTargetsResponse[]): void => {
    for (const message of messages) call.write(message);
  };

  function watch(output: 'text' | 'json' = 'text', timeoutMs = 5000): Promise<void> {
    const options = { address: volconf.server.address, timeoutMs, output };
    return showTargetChanges({ options, signal: end.signal }, terminal);
  }

  it('prints all targets, then changes', async () => {
    volconf.watches.push((call) => {
      send(call, { target: SLOT_TARGET }, { target: OPERATOR_TARGET }, { current: true });
      send(call, { target: { ...OPERATOR_TARGET, state: 1 } }, { removed: SLOT_TARGET.name });
    });
    const done = watch();
    await terminal.until(() => terminal.printed.includes('removed'));
    end.abort();
    await done;
    expect(terminal.printed).toMatch(/^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ .*\n){4}$/);
    expect(untimed(terminal.printed)).toEqual([
      `connect ${SLOT_TARGET.name} span:192.0.2.9 (refused \\x1b[2J; next try 2026-01-31 12:00:07Z)`,
      'running lab span:lab.example:988 to 192.0.2.7:988',
      'stopped lab span:lab.example:988',
      `removed ${SLOT_TARGET.name}`,
      '',
    ]);
  });

  it('prints JSON, a document a line', async () => {
    volconf.watches.push((call) => send(call, { target: OPERATOR_TARGET }, { removed: 'lab' }));
    const done = watch('json');
    await terminal.until(() => terminal.printed.includes('removed'));
    end.abort();
    await done;
    const documents = terminal.printed
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(documents[0].target).toMatchObject({ name: 'lab', dialect: 'DIALECT_UNSPECIFIED' });
    expect(documents[1]).toEqual({ time: expect.stringMatching(/^\d{4}-.*Z$/), removed: 'lab' });
  });

  it('resumes a watch that was lost, and prints only changes', async () => {
    const other = Target.fromPartial({ name: 'other', path: 'span:x', state: 1 });
    volconf.watches.push((call) => {
      send(call, { target: SLOT_TARGET }, { target: OPERATOR_TARGET }, { current: true });
      call.end();
    });
    volconf.watches.push((call) => send(call, { target: OPERATOR_TARGET }, { target: other }, { current: true }));
    const done = watch();
    await terminal.until(() => terminal.noted.includes('watching again'));
    end.abort();
    await done;
    expect(untimed(terminal.printed).slice(2)).toEqual(['stopped other span:x', `removed ${SLOT_TARGET.name}`, '']);
    expect(terminal.noted).toMatch(/ended the watch; trying again\nspanmesh: watching again\n$/);
  });

  it('gives up when the first targets do not come in time', async () => {
    volconf.watches.push((call) => send(call, { target: OPERATOR_TARGET }));
    await expect(watch('text', 100)).rejects.toMatchObject({ code: 'timeout' });
  });
});
