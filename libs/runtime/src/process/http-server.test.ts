import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { createLogger } from '../log/logger.ts';
import { Metrics } from '../metrics.ts';
import { SettingError } from '../settings/setting.ts';
import { recordingLogger } from '../tls/certificates.fixture.ts';
import { HttpServer } from './http-server.ts';

const logger = createLogger({ level: 'silent', service: 'test' });

interface SilentConnection {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
}

async function silentConnection(port: number): Promise<SilentConnection> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  const closed = once(socket, 'close');
  await once(socket, 'connect');
  return { socket, closed };
}

describe('HttpServer', () => {
  let reason: string | null;
  let metrics: Metrics;
  let server: HttpServer;
  let base: string;
  let port: number;
  beforeEach(async () => {
    reason = null;
    metrics = new Metrics();
    server = new HttpServer(
      { listen: { host: '127.0.0.1', port: 0 }, setting: 'SPANMESH_HTTP_LISTEN' },
      {
        ready: () => reason,
        metrics,
        logger,
        fallback: (_, response, path) => {
          if (path === '/throws') {
            throw new Error('fallback');
          }
          if (path === '/console') {
            response.end('console');
          }
          return path === '/console';
        },
      },
    );
    port = await server.start();
    base = `http://127.0.0.1:${port}`;
  });
  afterEach(() => server.stop());

  it('is ready, or says why not; alive either way', async () => {
    expect((await fetch(`${base}/readyz`)).status).toBe(200);
    reason = 'no Attach since start';
    const response = await fetch(`${base}/readyz?verbose`);
    expect([response.status, await response.text()]).toEqual([503, 'no Attach since start\n']);
    expect((await fetch(`${base}/livez`)).status).toBe(200);
  });

  it('serves metrics, and 500 when one cannot be read', async () => {
    metrics.gauge('spanmesh_x', 'X.', () => 4);
    const response = await fetch(`${base}/metrics`);
    expect(response.headers.get('content-type')).toContain('text/plain');
    expect(await response.text()).toContain('spanmesh_x 4');
    metrics.gauge('spanmesh_broken', 'Broken.', () => {
      throw new Error('unreadable');
    });
    expect((await fetch(`${base}/metrics`)).status).toBe(500);
    expect((await fetch(`${base}/livez`)).status).toBe(200);
  });

  it('answers 404 for other paths, 405 for other methods, HEAD without a body', async () => {
    expect((await fetch(`${base}/`)).status).toBe(404);
    const post = await fetch(`${base}/livez`, { method: 'POST', body: 'x' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    const head = await fetch(`${base}/livez`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  it('leaves other paths to the fallback and survives its errors', async () => {
    expect(await (await fetch(`${base}/console`)).text()).toBe('console');
    expect((await fetch(`${base}/throws`)).status).toBe(500);
  });

  it('names the setting when its port is taken', async () => {
    const second = new HttpServer(
      { listen: { host: '127.0.0.1', port }, setting: 'SPANMESH_HTTP_LISTEN' },
      { ready: () => null, metrics: new Metrics(), logger },
    );
    const error = await second.start().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(SettingError);
    expect((error as Error).message).toBe(
      `SPANMESH_HTTP_LISTEN: cannot listen on 127.0.0.1:${port}: EADDRINUSE, the port is taken: stop what listens there, or choose another`,
    );
    await second.stop();
  });

  // Limits: process/http-server.ts MAX_HEADER_BYTES
  it('takes 16 KiB of headers, and refuses more', async () => {
    const answered = async (chars: number) =>
      (await fetch(`${base}/livez`, { headers: { 'x-long': 'x'.repeat(chars) } })).status;
    expect(await answered(15_000)).toBe(200);
    expect(await answered(16 * 1024)).toBe(431);
  });

  // Limits: process/http-server.ts MAX_CONNECTIONS
  // Causes: metric spanmesh_http_connections_displaced_total
  it('answers a probe while others hold connections and say nothing', async () => {
    // More connections than the server takes.
    const silent = await Promise.all(Array.from({ length: 260 }, () => silentConnection(port)));
    expect((await fetch(`${base}/livez`)).status).toBe(200);
    expect((await fetch(`${base}/readyz`)).status).toBe(200);
    // The displaced connections were closed.
    await Promise.all(silent.slice(0, 4).map(({ closed }) => closed));
    expect(await (await fetch(`${base}/metrics`)).text()).toMatch(/^spanmesh_http_connections_displaced_total [5-9]$/m);
    for (const { socket } of silent) socket.destroy();
  });

  it('closes kept connections on stop', async () => {
    await (await fetch(`${base}/livez`)).text();
    await server.stop();
    await expect(fetch(`${base}/livez`)).rejects.toThrow();
  });
});

describe('what HTTP answers', () => {
  /** A server, the log lines of its trouble, and how to ask it. */
  async function serving(metrics: Pick<Metrics, 'text' | 'contentType' | 'counter'> = new Metrics()) {
    const { lines, logger } = recordingLogger();
    const server = new HttpServer(
      { listen: { host: '127.0.0.1', port: 0 }, setting: 'X' },
      {
        ready: () => null,
        metrics: metrics as Metrics,
        logger,
        fallback: (request, response, path) => {
          if (path === '/half') response.write('half');
          if (path === '/half' || path === '/throws') throw new Error('trouble');
          if (path === '/own') response.end(`${request.method} ${request.url}`);
          return path === '/own';
        },
      },
    );
    const port = await server.start();
    onTestFinished(() => server.stop());
    const ask = async (path: string, options: RequestInit = {}) => {
      const { status, headers, ...response } = await fetch(`http://127.0.0.1:${port}${path}`, options).then(
        async (answer) => ({ status: answer.status, headers: answer.headers, text: await answer.text() }),
      );
      return { status, text: response.text, type: headers.get('content-type'), headers };
    };
    return { ask, lines, server, port };
  }

  it('is text that no cache keeps and no browser guesses at', async () => {
    const { ask } = await serving();
    for (const [path, status, text] of [
      ['/livez', 200, 'ok\n'],
      ['/readyz', 200, 'ok\n'],
      ['/none', 404, 'not found\n'],
      ['/throws', 500, 'internal error\n'],
    ] as const) {
      const { headers, ...answer } = await ask(path);
      expect(answer).toEqual({ status, text, type: 'text/plain; charset=utf-8' });
      expect([headers.get('cache-control'), headers.get('x-content-type-options')]).toEqual(['no-store', 'nosniff']);
    }
    expect(await ask('/livez', { method: 'POST' })).toMatchObject({ status: 405, text: 'method not allowed\n' });
    expect(await ask('/own?x', { method: 'POST' })).toMatchObject({ status: 200, text: 'POST /own?x' });
    expect((await ask('/metrics', { method: 'HEAD' })).status).toBe(200);
  });

  it('of metrics is 500 when they cannot be read, and the log says why', async () => {
    const { ask, lines } = await serving({
      contentType: 'x',
      counter: () => {},
      text: () => Promise.reject(new Error('no numbers')),
    });
    expect(await ask('/metrics')).toMatchObject({ status: 500, text: 'metrics cannot be read\n' });
    expect(lines.join()).toContain('no numbers');
  });

  it('of others that fail half-way is cut off, and the log says why', async () => {
    const { ask, lines } = await serving();
    await expect(ask('/half')).rejects.toThrow();
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { msg: 'http request failed', err: { message: 'trouble' } },
    ]);
  });

  it('is nothing after the stop, which ends connections that are open, and may come before the start', async () => {
    const { server, port } = await serving();
    const { closed } = await silentConnection(port);
    await server.stop();
    await closed;
    const never = new HttpServer(
      { listen: { host: '127.0.0.1', port: 0 }, setting: 'X' },
      { ready: () => null, metrics: new Metrics(), logger },
    );
    await never.stop();
  });
});
