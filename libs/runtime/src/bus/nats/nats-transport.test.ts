import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { getServers, Resolver, setServers } from 'node:dns';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, it, vi } from 'vitest';
import { dialNats } from './nats-transport.ts';

const INFO = `INFO ${JSON.stringify({ server_id: 'x', version: '2.9.0', proto: 1, max_payload: 1_048_576, headers: true })}\r\n`;
const OPTIONS = { timeout: 500, pingInterval: 100, maxPingOut: 2 };

const ends: (() => unknown)[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const end of ends.splice(0)) await end();
});

/** A server in the place of NATS; `answer` is called with each connection. */
async function listening(answer: (socket: Socket) => unknown): Promise<{ port: number; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    answer(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}

/** Speaks as much of NATS as is needed to let a client in. */
function lettingIn(socket: Socket): void {
  socket.write(INFO);
  socket.on('data', (chunk) => {
    for (const _ of chunk.toString().matchAll(/^PING/gm)) socket.write('PONG\r\n');
  });
}

const at = (port: number, host = '127.0.0.1') => ({ address: `${host}:${port}`, tlsName: undefined });

it('an attempt that takes too long leaves no connection behind', async () => {
  const silent = await listening(() => {});
  await expect(dialNats(at(silent.port), OPTIONS)).rejects.toMatchObject({ code: 'TIMEOUT' });
  await expect.poll(() => silent.sockets.size).toBe(0);
});

it('a server that lets nobody in after its first line is left, too', async () => {
  const half = await listening((socket) => {
    socket.resume().write(INFO);
  });
  await expect(dialNats(at(half.port), OPTIONS)).rejects.toMatchObject({ code: 'TIMEOUT' });
  await expect.poll(() => half.sockets.size).toBe(0);
});

// Limits: nats/nats-transport.ts MAX_INFO_BYTES
it('a first line may be long, and a server whose first line does not end is left', async () => {
  const line = (chars: number, end: string) => (socket: Socket) => {
    socket.write(`${INFO.trim().replace('}', `,"connect_urls":["`)}${'x'.repeat(chars)}${end}`);
    socket.on('data', () => socket.write('PONG\r\n'));
  };
  const much = await listening(line(64 * 1024 - 500, '"]}\r\n'));
  await (await dialNats(at(much.port), { ...OPTIONS, timeout: 5000 })).close();
  const endless = await listening(line(64 * 1024, ''));
  await expect(dialNats(at(endless.port), { ...OPTIONS, timeout: 60_000 })).rejects.toMatchObject({ code: 'NOT_NATS' });
});

it('a first line may come in pieces', async () => {
  const server = await listening(async (socket) => {
    socket.on('data', () => socket.write('PONG\r\n'));
    for (const piece of [INFO.slice(0, 9), INFO.slice(9, -1), INFO.slice(-1)]) {
      await new Promise((resolve) => socket.write(piece, resolve));
      // The other end, in this process, reads it meanwhile.
      for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
  });
  await (await dialNats(at(server.port), { ...OPTIONS, timeout: 5000 })).close();
});

it.each([
  ['something else', (socket: Socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), 'NOT_NATS'],
  ['JSON that is none', (socket: Socket) => socket.write('INFO {"proto":}\r\n'), 'NOT_NATS'],
  ['a line without an end', (socket: Socket) => socket.write('INFO {'.padEnd(1_000_000, ' ')), 'NOT_NATS'],
  ['one that hangs up', (socket: Socket) => socket.end(), 'CONNECTION_CLOSED'],
  [
    'more before TLS than who it is',
    (socket: Socket) => socket.write(`${INFO.replace('}', ',"tls_required":true}')}PING\r\n`),
    'TLS',
  ],
])('%s is no NATS server', async (_, answer, code) => {
  const other = await listening(answer);
  await expect(dialNats(at(other.port), { ...OPTIONS, timeout: 5000 })).rejects.toMatchObject({ code });
  await expect.poll(() => other.sockets.size).toBe(0);
});

it('a server that hangs up when it hears our name has closed the connection', async () => {
  const server = await listening((socket) => {
    socket.write(INFO);
    socket.once('data', () => socket.end());
  });
  await expect(dialNats(at(server.port), { ...OPTIONS, timeout: 5000 })).rejects.toMatchObject({
    code: 'CONNECTION_CLOSED',
  });
});

it('bytes that cannot be read end the connection at once', async () => {
  const printed = vi.spyOn(console, 'log').mockImplementation(() => {});
  const server = await listening(lettingIn);
  const nats = await dialNats(at(server.port), { ...OPTIONS, pingInterval: 60_000 });
  for (const socket of server.sockets) socket.write('nonsense\r\n');
  await nats.closed();
  await expect.poll(() => server.sockets.size).toBe(0);
  // The library prints it; a service turns it into a line of its log (console-to-log.ts).
  expect(printed).toHaveBeenCalledOnce();
});

it('a server’s name is looked up as the system does, in the hosts file first, without asking a name server', async () => {
  const asked: unknown[] = [];
  const names: UdpSocket = createSocket('udp4', (query) => asked.push(query));
  names.bind(0, '127.0.0.1');
  await once(names, 'listening');
  const before = getServers();
  setServers([`127.0.0.1:${names.address().port}`]);
  ends.push(
    () => names.close(),
    () => setServers(before),
  );
  const server = await listening(lettingIn);
  const nats = await dialNats(at(server.port, 'localhost'), { ...OPTIONS, timeout: 5000 });
  expect(server.sockets.size).toBe(1);
  await nats.close();
  expect(asked).toEqual([]);
  // A name server that can be asked.
  const resolver = new Resolver({ timeout: 50, tries: 1 });
  resolver.setServers([`127.0.0.1:${names.address().port}`]);
  await new Promise<void>((resolve) => resolver.resolve4('localhost', () => resolve()));
  expect(asked).not.toEqual([]);
});
