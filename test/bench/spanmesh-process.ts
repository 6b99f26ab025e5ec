import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

const LAUNCHER = fileURLToPath(new URL('../../services/ctl/bin/spanmesh.js', import.meta.url));

/** A standalone spanmesh in a process of its own. */
export interface SpanmeshProcess {
  readonly pid: number;
  readonly dmsgPort: number;
  stop(): Promise<void>;
}

/** Starts `spanmesh run standalone` on free ports of loopback and waits until it is ready. */
export async function startSpanmesh(scheme: string, settings: Record<string, string> = {}): Promise<SpanmeshProcess> {
  const [dmsgPort, grpcPort, httpPort] = [await freePort(), await freePort(), await freePort()];
  const child = spawn(process.execPath, [LAUNCHER, 'run', 'standalone'], {
    env: {
      ...process.env,
      SPANMESH_DMSG_LISTEN: `${scheme}://127.0.0.1:${dmsgPort}`,
      SPANMESH_GRPC_LISTEN: `127.0.0.1:${grpcPort}`,
      SPANMESH_HTTP_LISTEN: `127.0.0.1:${httpPort}`,
      SPANMESH_LOG_LEVEL: 'error',
      ...settings,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await ready(child, `http://127.0.0.1:${httpPort}/readyz`);
  return {
    pid: child.pid!,
    dmsgPort,
    stop: () =>
      new Promise((resolve) => {
        child.once('exit', () => resolve());
        child.kill('SIGTERM');
      }),
  };
}

async function ready(child: ChildProcess, url: string): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`spanmesh ended with exit code ${child.exitCode}`);
    const answer = await fetch(url).catch(() => null);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
