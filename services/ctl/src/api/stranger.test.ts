import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { Metrics } from '@spanmesh/runtime/metrics';
import { HttpServer } from '@spanmesh/runtime/process/http-server';
import { afterEach, expect, it } from 'vitest';
import { main } from '../main.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';
import { aboutStranger } from './stranger.ts';

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stops.push(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A server that answers every request with one page. */
const pages = (type: string, body: string) =>
  listening(
    createHttpServer((_request, response) => {
      response.setHeader('Content-Type', type);
      response.setHeader('Connection', 'close');
      response.end(body);
    }),
  );

/** The error of a command that is given this address. */
async function said(address: string): Promise<string> {
  const terminal = new RecordingTerminal({ SPANMESH_ADDRESS: address });
  expect(await main(['nodes'], terminal)).toBe(1);
  return terminal.noted;
}

it('recognises the HTTP port of a process', async () => {
  const logger = createLogger({ level: 'silent', service: 'test' });
  const listen = { host: '127.0.0.1', port: 0 };
  const server = new HttpServer({ listen, setting: 'TEST' }, { ready: () => null, metrics: new Metrics(), logger });
  const address = `127.0.0.1:${await server.start()}`;
  stops.push(() => server.stop());
  expect(await said(address)).toBe(
    `spanmesh: ${address} is the HTTP port, for health and metrics: the API is on another one, 127.0.0.1:7987 unless set otherwise\n`,
  );
});

it('recognises the console', async () => {
  const address = await pages('text/html; charset=utf-8', '<!doctype html><title>spanmesh</title>');
  expect(await said(address)).toContain(
    `${address} is the port of the console, for browsers: the API is on another one`,
  );
});

// Limits: api/who-listens.ts MAX_BODY_BYTES
it('looks at the beginning of a page only', async () => {
  const page = (bytes: number) => pages('text/html', `${'<title>spanmesh'.padStart(bytes)}</title>`);
  expect(await aboutStranger(await page(4096))).toContain('is the port of the console');
  expect(await aboutStranger(await page(4097))).toContain('is a web server');
});

it('recognises another web server', async () => {
  expect(await said(await pages('text/plain', 'hello'))).toContain('is a web server: the API is on another one');
});

it('says of other servers that they do not speak gRPC', async () => {
  const address = await listening(createServer((socket) => socket.end('220 mail.example ESMTP\r\n')));
  expect(await said(address)).toBe(
    `spanmesh: ${address} does not speak gRPC; if it is the port for DMSG peers, the API is on another one, 127.0.0.1:7987 unless set otherwise\n`,
  );
});
