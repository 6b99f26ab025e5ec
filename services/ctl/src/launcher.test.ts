import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const LAUNCHER = fileURLToPath(new URL('../bin/spanmesh.js', import.meta.url));

/**
 * The versions of Node to try: this one, and the system's own if that is another (an older one has to start a newer
 * one).
 */
function nodes(): [string, string][] {
  const found = new Map([[process.version, process.execPath]]);
  for (const dir of ['/usr/bin', '/usr/local/bin']) {
    const path = join(dir, 'node');
    try {
      found.set(execFileSync(path, ['--version'], { encoding: 'utf8' }).trim(), path);
    } catch {
      // The system has no Node.
    }
  }
  return [...found];
}

async function run(
  node: string,
  args: readonly string[],
  env: Record<string, string> = {},
  options: readonly string[] = [],
) {
  const child = spawn(node, [...options, LAUNCHER, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const [code, signal] = await once(child, 'close');
  return { code, signal, out, err };
}

describe.each(nodes())('with Node %s', (_version, node) => {
  // A peer that connects to this listener shows that a simulation runs.
  let listener: Server;
  let port: number;
  const sockets = new Set<Socket>();

  beforeAll(async () => {
    listener = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.resume();
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    port = (listener.address() as { port: number }).port;
  });

  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });

  it('runs, and passes exit codes through', async () => {
    const [version, usage] = await Promise.all([run(node, ['--version']), run(node, ['nonsense'])]);
    expect(version).toMatchObject({ code: 0, err: '' });
    expect(version.out).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(usage).toMatchObject({ code: 2, out: '' });
  });

  it('runs with the options of Node that it was started with', async () => {
    const NODE_OPTIONS = '--import=data:text/javascript,console.error(process.execArgv.join())';
    const { code, err } = await run(node, ['--version'], { NODE_OPTIONS }, ['--v8-pool-size=3']);
    expect([code, new Set(err.trim().split('\n'))]).toEqual([0, new Set(['--v8-pool-size=3'])]);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('passes %s on, which ends a simulation in order', async (signal) => {
    const child = spawn(node, [LAUNCHER, 'sim', '--peers', '1', '--connect', `127.0.0.1:${port}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let out = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    await once(listener, 'connection');
    child.kill(signal);
    const [code, by] = await once(child, 'close');
    // No peer ever came up, because this listener does not answer.
    expect({ code, by }).toEqual({ code: 1, by: null });
    expect(out).toMatch(/^done: 0 of 1 peer/m);
  });

  it('ends its workers when it is killed', async () => {
    const child = spawn(node, [LAUNCHER, 'sim', '--peers', '1', '--connect', `127.0.0.1:${port}`], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [socket] = (await once(listener, 'connection')) as [Socket];
    const gone = once(socket, 'close');
    // Every worker inherits this pipe, so it ends when the last worker ends.
    const ended = once(child.stdout.resume(), 'end');
    child.kill('SIGKILL');
    await Promise.all([gone, ended]);
  });

  it('ends with the shell that npx runs it in', async () => {
    const words = [node, LAUNCHER, 'sim', '--peers', '1', '--connect', `127.0.0.1:${port}`];
    // A further command keeps the shell alive, as npm's does.
    const shell = spawn('sh', ['-c', '"$0" "$@"; true', ...words], {
      env: { ...process.env, npm_command: 'exec' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [socket] = (await once(listener, 'connection')) as [Socket];
    const gone = once(socket, 'close');
    const ended = once(shell.stdout.resume(), 'end');
    shell.kill('SIGTERM');
    await Promise.all([gone, ended]);
  });

  it('ends by the signal that its worker ended by', async () => {
    const child = spawn(node, [LAUNCHER, 'sim', '--peers', '1', '--connect', `127.0.0.1:${port}`], { stdio: 'ignore' });
    await once(listener, 'connection');
    child.kill('SIGHUP');
    const [code, by] = await once(child, 'close');
    expect({ code, by }).toEqual({ code: null, by: 'SIGHUP' });
  });
});

describe('with an old Node and no newer one on the system', () => {
  const old = nodes().find(([version]) => Number(/^v(\d+)/.exec(version)![1]) < 24);

  it.runIf(old !== undefined)('says which version is needed', async () => {
    const { code, err } = await run(old![1], ['--version'], { SPANMESH_HANDED_OVER: '1' });
    expect(code).toBe(1);
    expect(err).toMatch(/^spanmesh: needs Node 24 or newer, this is v\d+\.\d+\.\d+; `npm install` .*\n$/);
  });
});
