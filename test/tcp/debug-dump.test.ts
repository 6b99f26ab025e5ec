import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { main } from '@spanmesh/ctl/main';
import { RecordingTerminal } from '@spanmesh/ctl/terminal.fixture';
import { createApiToken } from '@spanmesh/runtime/access/api-tokens';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ECHO, EchoNode } from '../peer/echo-node.ts';
import { World } from '../peer/world.ts';

const run = promisify(execFile);
/** A text that must not get into the dump. */
const PAYLOAD = 'payload-4f1c9a-secret';

let directory: string;
let world: World;
let token: string;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'spanmesh-dump-'));
  const made = createApiToken({ name: 'ann', role: 'operate' });
  token = made.token;
  const tokens = join(directory, 'tokens');
  writeFileSync(tokens, `${made.line}\n`);
  chmodSync(tokens, 0o600);
  // The process logs at the most detailed level.
  world = await World.start({
    markers: 'circuit',
    settings: { SPANMESH_API_TOKENS_FILE: tokens, SPANMESH_LOG_LEVEL: 'trace' },
  });
});
afterEach(async () => {
  await world.stop();
  rmSync(directory, { recursive: true });
});

async function spanmesh(...args: string[]): Promise<RecordingTerminal> {
  const terminal = new RecordingTerminal({ SPANMESH_TOKEN: token });
  const code = await main([...args, '--address', `127.0.0.1:${world.standalone.grpcPort}`], terminal);
  expect([code, terminal.noted]).toEqual([0, '']);
  return terminal;
}

describe('spanmesh debug dump', () => {
  it('contains the data of all processes that a bug report needs, and no secrets', async () => {
    const node = await EchoNode.start(world.port('linkid'), 'linkid', 1);
    try {
      const command = `0x${ECHO.toString(16).padStart(8, '0')}`;
      await spanmesh('send', 'echo1', '--command', command, '--aux', PAYLOAD);
      const out = join(directory, 'dump.tar.gz');
      const { printed } = await spanmesh('debug', 'dump', '--out', out);
      expect(printed).toMatch(/dump\.tar\.gz: \d+ files, \d+ bytes/);
      expect(statSync(out).mode & 0o777).toBe(0o600);
      await run('tar', ['-xzf', out, '-C', directory]);
      const root = join(directory, 'spanmesh-debug');
      const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
      expect(files.map(({ name }) => name).sort()).toEqual(
        [
          ...[
            'about.json',
            'connections.json',
            'events.jsonl',
            'processes.json',
            'status.json',
            'targets.json',
            'tree.jsonl',
          ],
          ...['log.jsonl', 'metrics.txt', 'process.json', 'settings.json'],
        ].sort(),
      );
      const all = files.map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8')).join('\n');
      expect(all).toContain('"SPANMESH_API_TOKENS_FILE"');
      expect(all).toContain('spanmesh_gateway_');
      expect(all).toContain('echo1');
      expect(all).toContain('EVENT_KIND_PEER_UP');
      for (const secret of [
        token,
        PAYLOAD,
        Buffer.from(PAYLOAD).toString('base64'),
        Buffer.from(PAYLOAD).toString('hex'),
      ]) {
        expect(all).not.toContain(secret);
      }
    } finally {
      await node.stop();
    }
  });
});
