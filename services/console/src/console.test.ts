import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { status } from '@grpc/grpc-js';
import { GetStatusResponse } from '@spanmesh/proto/v1/topology';
import { systemClock } from '@spanmesh/runtime/clock';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { SettingError } from '@spanmesh/runtime/settings/setting';
import { Certificates, recordingLogger } from '@spanmesh/runtime/tls/certificates.fixture';
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_REQUEST_BYTES } from './bridge.ts';
import { Console, MAX_CONNECTIONS, MAX_HEADER_BYTES, MAX_SIGN_IN_BYTES } from './console.ts';
import { MAX_SESSIONS_PER_USER, MAX_STREAMS_PER_SESSION, SESSION_IDLE_MS, SESSION_LIFE_MS } from './sessions.ts';
import { type Browser, ConsoleWorld } from './testing.fixture.ts';

const STATUS = '/spanmesh.v1.Topology/GetStatus';
const REMOVE = '/spanmesh.v1.Volconf/RemoveTarget';
const WATCH = '/spanmesh.v1.Volconf/WatchTargets';

const worlds: ConsoleWorld[] = [];
async function world(...options: ConstructorParameters<typeof ConsoleWorld>): Promise<ConsoleWorld> {
  const made = await new ConsoleWorld(...options).start();
  worlds.push(made);
  return made;
}
afterEach(async () => {
  await Promise.all(worlds.splice(0).map((one) => one.stop()));
});

describe('the page', () => {
  it('has a policy that allows only its own files, and is compressed as the browser asks', async () => {
    const one = await world();
    const answer = await one.request('GET', '/', { headers: { 'accept-encoding': 'gzip, br' } });
    expect([answer.status, answer.text, answer.headers['content-encoding']]).toEqual([200, 'br', 'br']);
    const policy = String(answer.headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
    expect(policy).not.toContain('unsafe');
    expect(policy).toContain("frame-ancestors 'none'");
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
    expect((await one.request('GET', '/')).text).toBe('<!doctype html>');
    expect((await one.request('POST', '/')).status).toBe(405);
    expect((await one.request('GET', '/../package.json')).status).toBe(404);
  });
});

describe('a page elsewhere', () => {
  it.each(['evil.example', 'evil.example:7980', '127.0.0.1.evil.example', '192.0.2.1', 'a b', '[::1'])(
    'does not reach the console under the name %j (rebinding)',
    async (host) => {
      const one = await world();
      for (const [method, path] of [
        ['GET', '/'],
        ['GET', '/session'],
        ['POST', STATUS],
      ] as const) {
        expect([path, (await one.request(method, path, { headers: { host } })).status]).toEqual([path, 421]);
      }
      expect(one.console.sessions.size).toBe(0);
    },
  );

  it('may be called under localhost, and under names that a setting lists', async () => {
    const one = await world({ hosts: 'console.example.org, other' });
    for (const host of ['localhost:1', '[::1]:1', 'console.example.org', 'OTHER:99']) {
      expect([host, (await one.request('GET', '/', { headers: { host } })).status]).toEqual([host, 200]);
    }
  });

  it.each<Record<string, string>>([
    { origin: 'http://evil.example' },
    { origin: 'null' },
    { origin: 'https://127.0.0.1' },
    { origin: '' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ])('from another origin is refused: %j', async (headers) => {
    const one = await world();
    const browser = await one.signIn(null);
    expect((await browser.call(STATUS, headers)).http).toBe(403);
    expect((await one.request('GET', '/session', { headers: { origin: 'http://evil.example' } })).status).toBe(403);
    expect(one.calls).toEqual([]);
  });

  it('on another port of this host is another origin', async () => {
    const one = await world();
    const browser = await one.signIn(null);
    expect((await browser.call(STATUS, { origin: `http://127.0.0.1:${one.console.port + 1}` })).http).toBe(403);
  });

  it('cannot call with the cookie alone, or with a wrong CSRF token', async () => {
    const one = await world();
    const browser = await one.signIn(null);
    for (const csrf of ['', 'x', `${browser.csrf}x`, (await one.signIn(null)).csrf]) {
      expect((await browser.call(STATUS, { 'spanmesh-csrf': csrf })).http).toBe(403);
    }
    expect((await browser.call(STATUS, { 'content-type': 'text/plain' })).http).toBe(415);
    expect((await one.request('GET', STATUS, { headers: browser.headers })).status).toBe(405);
    expect(one.calls).toEqual([]);
  });
});

describe('a call', () => {
  it('is passed on, and its answer comes back unchanged', async () => {
    const one = await world();
    const { http, code, message } = await (await one.signIn(null)).call(STATUS);
    expect([http, code]).toEqual([200, status.OK]);
    expect(GetStatusResponse.decode(message ?? Buffer.alloc(0)).replica).toBe('the one');
  });

  it.each([
    '/spanmesh.v1.Messaging/OpenRoute',
    '/spanmesh.v1.GatewayControl/Attach',
    '/spanmesh.v1.Directory/Watch',
    '/grpc.health.v1.Health/Check',
    '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
    '/spanmesh.v1.Topology/Nothing',
    '/metrics',
  ])('of %s is not allowed to pages', async (path) => {
    const one = await world();
    expect((await (await one.signIn(null)).call(path)).http).toBe(404);
  });

  it('with an invalid body, or too long a body, is refused', async () => {
    const one = await world();
    const browser = await one.signIn(null);
    const bodies = [Buffer.alloc(4), Buffer.from([1, 0, 0, 0, 0]), Buffer.from([0, 0, 0, 0, 9]), Buffer.alloc(6)];
    for (const body of [...bodies, Buffer.alloc(MAX_REQUEST_BYTES + 1)]) {
      expect((await browser.call(STATUS, {}, body)).code).toBe(status.INVALID_ARGUMENT);
    }
    expect(one.calls).toEqual([]);
  });

  // Limits: console/src/bridge.ts MAX_REQUEST_BYTES
  it('has a request of 64 KiB at most', async () => {
    const one = await world();
    const browser = await one.signIn(null);
    // A field that the API does not know (number 1000, of bytes), behind the heads of the message and of the field.
    const ofBytes = (bytes: number): Buffer => {
      const body = Buffer.alloc(bytes);
      body.writeUInt32BE(bytes - 5, 1);
      const length = bytes - 5 - 5;
      body.set([0xc2, 0x3e, (length & 127) | 128, ((length >> 7) & 127) | 128, length >> 14], 5);
      return body;
    };
    expect((await browser.call(STATUS, {}, ofBytes(MAX_REQUEST_BYTES))).code).toBe(status.OK);
    expect((await browser.call(STATUS, {}, ofBytes(MAX_REQUEST_BYTES + 1))).code).toBe(status.INVALID_ARGUMENT);
    expect(one.calls).toHaveLength(1);
  });

  it('to a stream ends at the API, too, when the browser hangs up', async () => {
    const one = await world();
    const hangUp = await openStream(await one.signIn(null));
    expect(one.streams.size).toBe(1);
    hangUp();
    await expect.poll(() => one.streams.size).toBe(0);
  });

  // Limits: console/src/sessions.ts MAX_STREAMS_PER_SESSION
  it('is refused when a session has too many streams, until one of them ends', async () => {
    const one = await world();
    const browser = await one.signIn(null);
    const [hangUp] = await Promise.all(Array.from({ length: MAX_STREAMS_PER_SESSION }, () => openStream(browser)));
    expect((await browser.call(WATCH)).http).toBe(429);
    expect((await browser.call(STATUS)).code).toBe(status.OK);
    hangUp?.();
    await expect.poll(() => one.streams.size).toBe(MAX_STREAMS_PER_SESSION - 1);
    await openStream(browser);
  });
});

describe('where the API wants tokens', () => {
  it('nothing is revealed without a token', async () => {
    const one = await world({ asks: true });
    const answer = await one.request('GET', '/session');
    expect(JSON.parse(answer.text)).toMatchObject({ signedIn: false, asksForUsers: true, csrf: '' });
    expect(answer.headers['set-cookie']).toBeUndefined();
    for (const cookie of ['', `spanmesh-${one.console.port}=x`, `spanmesh-${one.console.port}=`]) {
      const headers = { origin: one.origin, cookie, 'content-type': 'application/grpc-web+proto' };
      expect((await one.request('POST', STATUS, { headers })).status).toBe(401);
    }
    expect(one.calls).toEqual([]);
  });

  it('an unknown token, or a sign-in that a form could send, begins no session', async () => {
    const one = await world({ asks: true });
    const post = (type: string, body: string) =>
      one.request('POST', '/session', { headers: { origin: one.origin, 'content-type': type }, body });
    expect((await post('application/json', '{"token":"spm_wrong"}')).status).toBe(401);
    expect((await post('application/json', '{"token":7}')).status).toBe(401);
    expect((await post('application/json', '[')).status).toBe(400);
    expect((await post('application/json', JSON.stringify({ token: 'x'.repeat(5000) }))).status).toBe(400);
    expect((await post('text/plain', JSON.stringify({ token: one.operate.token }))).status).toBe(400);
    expect(one.console.sessions.size).toBe(0);
    expect(one.lines.join()).not.toContain('spm_wrong');
  });

  // Limits: console/src/console.ts MAX_SIGN_IN_BYTES
  it('a sign-in is read up to 1 KiB', async () => {
    const one = await world({ asks: true });
    const post = (bytes: number) =>
      one.request('POST', '/session', {
        headers: { origin: one.origin, 'content-type': 'application/json' },
        body: JSON.stringify({ token: one.read.token }).padEnd(bytes),
      });
    expect((await post(MAX_SIGN_IN_BYTES)).status).toBe(200);
    expect((await post(MAX_SIGN_IN_BYTES + 1)).status).toBe(400);
    expect(one.console.sessions.size).toBe(1);
  });

  it('a token becomes a cookie that scripts cannot read and other sites do not send, and appears in no answer and no log', async () => {
    const one = await world({ asks: true });
    const browser = await one.signIn(one.operate.token);
    expect(browser.setCookie).toMatch(/^spanmesh-\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/);
    expect((await browser.call(STATUS)).code).toBe(status.OK);
    expect(one.calls).toEqual([{ method: 'GetStatus', user: 'olga' }]);
    const session = await one.request('GET', '/session', { headers: browser.headers });
    expect(JSON.parse(session.text)).toMatchObject({ signedIn: true, user: 'olga', role: 'operate' });
    expect(`${session.text}${browser.setCookie}${one.lines.join()}`).not.toContain(one.operate.token);
  });

  it('with TLS the cookie is only for TLS and this host', async () => {
    const certificates = new Certificates();
    try {
      const one = await world({ asks: true, files: certificates.watched(['api.spanmesh']) });
      const browser = await one.signIn(one.operate.token);
      expect(browser.setCookie).toMatch(/^__Host-spanmesh-\d+=.*; Path=\/; HttpOnly; SameSite=Strict; Secure$/);
      expect((await browser.call(STATUS)).code).toBe(status.OK);
      const names = { host: 'api.spanmesh', other: 'evil.example' };
      expect((await one.request('GET', '/', { headers: { host: names.host } })).status).toBe(200);
      expect((await one.request('GET', '/', { headers: { host: names.other } })).status).toBe(421);
    } finally {
      certificates.remove();
    }
  });

  it('a user with the role read changes nothing, and acts are logged with the user', async () => {
    const one = await world({ asks: true });
    const rita = await one.signIn(one.read.token);
    expect((await rita.call(REMOVE)).code).toBe(status.PERMISSION_DENIED);
    expect((await (await one.signIn(one.operate.token)).call(REMOVE)).code).toBe(status.OK);
    expect(one.calls).toEqual([{ method: 'RemoveTarget', user: 'olga' }]);
    const acts = one.lines.filter((line) => line.includes('an act of an operator')).map((line) => JSON.parse(line));
    expect(acts).toMatchObject([
      { user: 'rita', method: REMOVE, code: 'PERMISSION_DENIED', peer: '127.0.0.1' },
      { user: 'olga', method: REMOVE, code: 'OK' },
    ]);
  });

  it('a token that is withdrawn ends its session with the next call', async () => {
    const one = await world({ asks: true });
    const browser = await one.signIn(one.operate.token);
    const { tokens } = one;
    one.tokens = null;
    expect((await browser.call(STATUS)).code).toBe(status.UNAUTHENTICATED);
    one.tokens = tokens;
    await expect.poll(async () => (await browser.call(STATUS)).http).toBe(401);
  });

  it('signing out ends the session and its streams', async () => {
    const one = await world({ asks: true });
    const browser = await one.signIn(one.operate.token);
    await openStream(browser);
    const foreign = await one.request('POST', '/session/end', { headers: { ...browser.headers, 'spanmesh-csrf': '' } });
    expect(foreign.status).toBe(403);
    const answer = await one.request('POST', '/session/end', { headers: browser.headers });
    expect([answer.status, answer.headers['set-cookie']?.[0]]).toEqual([200, expect.stringContaining('Max-Age=0')]);
    await expect.poll(() => one.streams.size).toBe(0);
    expect((await browser.call(STATUS)).http).toBe(401);
  });

  it('a session ends when it is not used for a while, and at the end of its life in any case', async () => {
    const clock = new FakeClock();
    const one = await world({ asks: true, clock });
    const browser = await one.signIn(one.operate.token);
    clock.advance(SESSION_IDLE_MS - 1);
    expect((await browser.call(STATUS)).code).toBe(status.OK);
    clock.advance(SESSION_IDLE_MS);
    expect((await browser.call(STATUS)).http).toBe(401);
    const other = await one.signIn(one.operate.token);
    for (let ms = 0; ms < SESSION_LIFE_MS; ms += SESSION_IDLE_MS / 2) {
      expect((await other.call(STATUS)).http).toBe(200);
      clock.advance(SESSION_IDLE_MS / 2);
    }
    expect((await other.call(STATUS)).http).toBe(401);
  });

  it('a stream is cut at the end of its session, even without any other request', async () => {
    const clock = new FakeClock();
    const one = await world({ asks: true, clock });
    await openStream(await one.signIn(one.operate.token));
    clock.advance(SESSION_LIFE_MS - 1);
    expect([one.streams.size, one.console.sessions.size]).toEqual([1, 1]);
    clock.advance(1);
    expect(one.console.sessions.size).toBe(0);
    await expect.poll(() => one.streams.size).toBe(0);
    expect(clock.pending).toBe(0);
  });

  // Limits: console/src/sessions.ts MAX_SESSIONS_PER_USER
  it('a user who signs in over and over ends only own sessions', async () => {
    const one = await world({ asks: true });
    const olga = await one.signIn(one.operate.token);
    const ritas = [];
    for (let i = 0; i <= MAX_SESSIONS_PER_USER; i++) ritas.push(await one.signIn(one.read.token));
    expect(one.console.sessions.size).toBe(1 + MAX_SESSIONS_PER_USER);
    expect((await olga.call(STATUS)).http).toBe(200);
    expect((await ritas[0]?.call(STATUS))?.http).toBe(401);
    expect((await ritas[1]?.call(STATUS))?.http).toBe(200);
  });
});

describe('its port', () => {
  const access = { userOf: () => null, apiFiles: null, consoleKey: '00' };
  const deps = { clock: systemClock, logger: recordingLogger().logger, apiAddress: () => '', assets: new Map() };
  const listen = (host: string, port = 0) => ({ consoleListen: { host, port }, consoleHosts: '' });

  it('is on loopback only without TLS', () => {
    const make = () => new Console(listen('0.0.0.0'), { ...deps, access: { ...access, asksForUsers: true } });
    expect(make).toThrow(SettingError);
    expect(make).toThrow(/SPANMESH_CONSOLE_LISTEN.*0\.0\.0\.0:0 is not a loopback address: set SPANMESH_API_TLS_CERT/);
  });

  it('is on loopback only if the API asks nobody', () => {
    const certificates = new Certificates();
    const apiFiles = certificates.watched(['api.spanmesh']);
    const make = () =>
      new Console(listen('0.0.0.0'), { ...deps, access: { ...access, apiFiles, asksForUsers: false } });
    expect(make).toThrow(/SPANMESH_API_TOKENS_FILE/);
    certificates.remove();
  });

  it('is reported by its setting when it is taken; the default port is done without', async () => {
    const one = await world();
    const { port } = one.console;
    const second = new Console(listen('127.0.0.1', port), { ...deps, access: { ...access, asksForUsers: false } });
    await expect(second.start()).rejects.toThrow(/SPANMESH_CONSOLE_LISTEN/);
    await second.stop();
  });

  // Limits: console/src/console.ts MAX_HEADER_BYTES
  it('takes headers up to 16 KiB', async () => {
    const one = await world();
    // The path, names and values count: together they must be shorter than the limit.
    const others = '/'.length + 'hostlocalhostconnectioncloseblank'.length;
    const answer = async (bytes: number): Promise<string> => {
      const blank = 'x'.repeat(bytes - others);
      const socket = connect(one.console.port, '127.0.0.1');
      socket.end(`GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nblank: ${blank}\r\n\r\n`);
      let text = '';
      for await (const chunk of socket) text += String(chunk);
      return text.slice(0, text.indexOf('\r\n'));
    };
    expect(await answer(MAX_HEADER_BYTES - 1)).toBe('HTTP/1.1 200 OK');
    expect(await answer(MAX_HEADER_BYTES)).toBe('HTTP/1.1 431 Request Header Fields Too Large');
  });

  // Limits: console/src/console.ts MAX_CONNECTIONS
  it('accepts a limited number of connections; beyond that the one idle for longest is closed', async () => {
    const one = await world();
    const sockets: Socket[] = [];
    const gone: number[] = [];
    const open = async (): Promise<Socket> => {
      const [socket, number] = [connect(one.console.port, '127.0.0.1'), sockets.length];
      sockets.push(socket);
      socket.on('error', () => {});
      socket.on('close', () => gone.push(number));
      await once(socket, 'connect');
      return socket;
    };
    try {
      await open();
      while (sockets.length < MAX_CONNECTIONS) {
        const many = Math.min(100, MAX_CONNECTIONS - sockets.length);
        const opened = await Promise.all(Array.from({ length: many }, open));
        // When this one is answered all earlier ones have been accepted: the kernel keeps only a few hundred waiting
        // for a server.
        for (const last of opened.slice(-1)) {
          last.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
          await once(last, 'data');
        }
      }
      expect(gone).toEqual([]);
      await open();
      await expect.poll(() => gone).toEqual([0]);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });

  it('reports that the page was not built', async () => {
    const second = new Console(listen('127.0.0.1'), { ...deps, access: { ...access, asksForUsers: false } });
    await second.start();
    const answer = await fetch(second.url);
    expect([answer.status, await answer.text()]).toEqual([503, expect.stringContaining('was not built')]);
    await second.stop();
  });
});

/** Opens a stream, and waits for its first message. @returns what hangs up */
function openStream(browser: Browser): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: browser.world.console.port, method: 'POST', path: WATCH, agent: false };
    const sent = request({ ...options, headers: browser.headers });
    sent.on('error', reject);
    sent.on('response', (response) => {
      response.on('error', () => {});
      response.once('data', () => resolve(() => sent.destroy()));
      if (response.statusCode !== 200) reject(new Error(`HTTP ${response.statusCode}`));
    });
    sent.end(Buffer.alloc(5));
  });
}
