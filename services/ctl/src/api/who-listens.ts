import { get } from 'node:http';
import { parseHostPort } from '@spanmesh/runtime/address';

/**
 * What answers at an address. `health`: a process's port for health and metrics; `console`; `web`: another HTTP server;
 * `other`: no HTTP.
 */
export type Listener = 'health' | 'console' | 'web' | 'other';

/** Longest wait for an answer, ms. */
const PATIENCE_MS = 1000;
/** Longest part of an answer that is read, bytes: the texts that tell the servers apart come first. */
const MAX_BODY_BYTES = 4096;

interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** Finds out what listens where no API answers, by asking for two pages. */
export async function whoListens(address: string): Promise<Listener> {
  const health = await page(address, '/livez');
  if (health === null) return 'other';
  if (health.status === 200 && health.body === 'ok') return 'health';
  const front = await page(address, '/');
  return front?.type.startsWith('text/html') && /<title>[^<]*spanmesh/i.test(front.body) ? 'console' : 'web';
}

/** The page at a path; null: the server does not speak HTTP. */
function page(address: string, path: string): Promise<Page | null> {
  const { host, port } = parseHostPort(address);
  return new Promise((resolve) => {
    const request = get({ host, port, path, agent: false, signal: AbortSignal.timeout(PATIENCE_MS) }, (response) => {
      let body = '';
      const done = (): void => {
        resolve({
          status: response.statusCode ?? 0,
          type: response.headers['content-type'] ?? '',
          body: body.slice(0, MAX_BODY_BYTES).trim(),
        });
        request.destroy();
      };
      response.setEncoding('latin1');
      response.on('data', (part: string) => {
        body += part;
        if (body.length >= MAX_BODY_BYTES) done();
      });
      response.on('end', done);
      response.on('error', done);
    });
    request.on('error', () => resolve(null));
  });
}
