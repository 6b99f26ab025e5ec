import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { main } from '@spanmesh/ctl/main';
import { RecordingTerminal } from '@spanmesh/ctl/terminal.fixture';
import { type RunningStandalone, startStandalone } from '@spanmesh/standalone/standalone';
import { afterEach, beforeEach, expect, it } from 'vitest';

let parent: string;
let running: RunningStandalone;
beforeEach(async () => {
  parent = mkdtempSync(join(tmpdir(), 'spanmesh-target-files-'));
  running = await start();
});
afterEach(async () => {
  await running.stop();
  rmSync(parent, { recursive: true });
});

function start(): Promise<RunningStandalone> {
  return startStandalone({
    SPANMESH_DMSG_LISTEN: '127.0.0.1:0',
    SPANMESH_GRPC_LISTEN: '127.0.0.1:0',
    SPANMESH_HTTP_LISTEN: '127.0.0.1:0',
    SPANMESH_DATA_DIR: join(parent, 'data'),
    SPANMESH_LOG_LEVEL: 'silent',
  });
}

async function volconf(args: string[], input = ''): Promise<string> {
  const terminal = new RecordingTerminal();
  terminal.in = Readable.from([input]);
  const code = await main(['volconf', ...args, '--address', `127.0.0.1:${running.grpcPort}`], terminal);
  expect([code, terminal.noted]).toEqual([0, '']);
  return terminal.printed;
}

const DONE = /^(\d+) added, (\d+) changed, (\d+) removed, (\d+) as they were$/m;
const did = (printed: string) => DONE.exec(printed)?.slice(1).map(Number);

it('exported targets can be imported again after everything was lost', async () => {
  await volconf(['set', 'lab', 'span:127.0.0.1:9', '--dialect', 'circuit']);
  await volconf(['set', 'a.b', 'span:[::1]:9']);
  const exported = await volconf(['export']);
  expect(exported.split('\n')).toHaveLength(3);
  expect(did(await volconf(['import', '-', '--prune'], exported))).toEqual([0, 0, 0, 2]);

  await running.stop();
  rmSync(join(parent, 'data'), { recursive: true });
  running = await start();
  expect(await volconf(['export'])).toBe('');
  expect(did(await volconf(['import', '-'], exported))).toEqual([2, 0, 0, 0]);
  expect(await volconf(['export'])).toBe(exported);

  // Exported again after a restart that loses nothing.
  await running.stop();
  running = await start();
  expect(await volconf(['export'])).toBe(exported);
  expect(did(await volconf(['import', '-', '--prune'], ''))).toEqual([0, 0, 2, 0]);
  expect(await volconf(['list'])).not.toContain('lab');
});
