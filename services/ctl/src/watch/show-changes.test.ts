import { status } from '@grpc/grpc-js';
import { ChangeKind, WatchResponse } from '@spanmesh/proto/v1/topology';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ApiOptions } from '../api-options.ts';
import { Failure } from '../failure.ts';
import { main } from '../main.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';
import { exampleTrees, FakeTopology, linkOf, NODE } from '../topology.fixture.ts';
import { showChanges } from './show-changes.ts';

const { CHANGE_KIND_ADDED: ADDED, CHANGE_KIND_REMOVED: REMOVED } = ChangeKind;

let server: FakeTopology;
let terminal: RecordingTerminal;
let end: AbortController;

beforeEach(async () => {
  server = new FakeTopology();
  await server.start();
  terminal = new RecordingTerminal();
  end = new AbortController();
});

afterEach(() => {
  end.abort();
  server.stop();
});

function watch(options: Partial<ApiOptions> = {}): Promise<void> {
  const all: ApiOptions = { address: server.address, timeoutMs: 5000, output: 'text', ...options };
  return showChanges({ withRelays: true, options: all, signal: end.signal }, terminal);
}

/** The printed lines without the times at which they were received. */
function untimed(printed: string): string[] {
  return printed.split('\n').map((line) => line.replace(/^\S+ \S+Z /, ''));
}

const created = (revision: string) => WatchResponse.fromPartial({ created: { revision } });
const listAgain = WatchResponse.fromPartial({ listAgain: { reason: 'too \x1b[1m old', revision: '2-1' } });
const added = (revision: string, n: number) =>
  WatchResponse.fromPartial({ changes: { revision, changes: [{ kind: ADDED, link: linkOf(NODE, n) }] } });

describe('spanmesh watch', () => {
  it('ends even if its time was over before the watch began', async () => {
    Object.defineProperty(server, 'connections', {
      get: () => {
        end.abort();
        return [];
      },
    });
    await watch();
    expect(terminal.printed).toBe('');
  });

  it("watches from the list's revision, and prints a line for each change", async () => {
    server.watches.push((call) => {
      call.write(created('1-1'));
      call.write(added('1-2', 50));
      call.write(added('1-3', 51));
    });
    const done = watch();
    await terminal.until(() => terminal.printed.includes('gw.1:51'));
    end.abort();
    await done;
    expect(server.watched).toEqual([{ revision: '1-1', withRelays: true }]);
    expect(terminal.printed).toMatch(/^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ added .*\n){2}$/);
    expect(untimed(terminal.printed).map((line) => line.slice(0, 26))).toEqual([
      'added   link       gw.1:50',
      'added   link       gw.1:51',
      '',
    ]);
    expect(terminal.noted).toBe('');
  });

  it('prints JSON, a document a line', async () => {
    server.watches.push((call) => {
      call.write(created('1-1'));
      call.write(added('1-2', 50));
    });
    const done = watch({ output: 'json' });
    await terminal.until(() => terminal.printed.endsWith('\n'));
    end.abort();
    await done;
    expect(JSON.parse(terminal.printed)).toMatchObject({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      revision: '1-2',
      kind: 'CHANGE_KIND_ADDED',
      link: { id: 'gw.1:50', msgid: '18446735277921949248' },
    });
  });

  it('lists again when told to, prints what it missed once, and goes on', async () => {
    server.watches.push((call) => {
      call.write(created('1-1'));
      const trees = exampleTrees();
      trees[1]!.nodes[0]!.links = [{ link: linkOf(NODE, 60), relays: [] }];
      server.trees = trees;
      server.revision = '2-1';
      call.write(listAgain);
      call.end();
    });
    server.watches.push((call) => {
      call.write(created('2-1'));
      // This link was in the list already.
      call.write(added('2-2', 60));
      call.write(added('2-3', 61));
    });
    const done = watch();
    await terminal.until(() => terminal.printed.includes('gw.1:61'));
    end.abort();
    await done;
    expect(server.watched.map((request) => request.revision)).toEqual(['1-1', '2-1']);
    expect(untimed(terminal.printed).map((line) => line.split(' dist')[0])).toEqual([
      'added   link       gw.1:60',
      'removed relays     of gw.1:1 to gw.1:900',
      'removed link       gw.1:2',
      'removed link       gw.1:1',
      'added   link       gw.1:61',
      '',
    ]);
    expect(terminal.noted).toBe('spanmesh: listing again: too \\x1b[1m old\n');
  });

  it('resumes a broken watch at the last revision, and notes it once', async () => {
    server.watches.push((call) => {
      call.write(created('1-1'));
      call.write(added('1-2', 50));
      call.write(WatchResponse.fromPartial({ progress: { revision: '1-9' } }));
    });
    const done = watch();
    await terminal.until(() => terminal.printed.includes('gw.1:50'));
    server.watches.push((call) => {
      call.emit('error', { code: status.UNAVAILABLE, details: 'draining' });
    });
    server.watches.push((call) => {
      call.write(created('1-9'));
      call.write(
        WatchResponse.fromPartial({
          changes: { revision: '1-10', changes: [{ kind: REMOVED, link: linkOf(NODE, 50) }] },
        }),
      );
    });
    await server.restart();
    await terminal.until(() => terminal.printed.includes('removed'));
    end.abort();
    await done;
    expect(server.watched.map((request) => request.revision)).toEqual(['1-1', '1-9', '1-9']);
    expect(terminal.noted.match(/trying again/g)).toHaveLength(1);
    expect(terminal.noted.match(/watching again/g)).toHaveLength(1);
  });

  it('ends by itself after the time given', async () => {
    server.watches.push((call) => call.write(created('1-1')));
    expect(await main(['watch', '--duration', '2s', '--address', server.address], terminal)).toBe(0);
    expect(server.watched).toHaveLength(1);
  });

  it('fails at once when the first request fails', async () => {
    server.stop();
    await expect(watch()).rejects.toMatchObject({ code: 'unreachable', exitCode: 1 });
  });

  it('fails when the watch itself is refused', async () => {
    server.watches.push((call) => {
      call.emit('error', { code: status.INVALID_ARGUMENT, details: 'no \x07 such revision' });
    });
    await expect(watch()).rejects.toThrow(new Failure('refused', 'no \\x07 such revision'));
  });

  it('fails when the first answer does not come in time', async () => {
    server.watches.push(() => {});
    await expect(watch({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'timeout' });
  });
});
