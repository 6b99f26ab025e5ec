import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { ProtocolRule } from '@spanmesh/runtime/grpc/protocol-version';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LinkGatewayError } from '../gateway-error.ts';
import { TOKEN_BYTES } from './limits.ts';
import { openTrunk } from './open-trunk.ts';
import { GREETING } from './trunk-listener.ts';

const logger = createLogger({ level: 'silent', service: 'test' });
const TOKEN = Buffer.alloc(TOKEN_BYTES, 7);

describe('opening a trunk', () => {
  let server: Server;
  let port: number;
  /** The other side's handler of a connection. */
  let answer: (socket: Socket) => void;
  /** Connections of the other side. */
  let sockets: Socket[];
  let given: AbortController;
  beforeEach(async () => {
    sockets = [];
    given = new AbortController();
    answer = (socket) => void socket.write(GREETING);
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      answer(socket);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  function open(response: { address?: string; token?: Buffer; version?: number } = {}) {
    const whole = { address: `:${port}`, token: TOKEN, version: 1, ...response };
    const protocol = new ProtocolRule({ own: 1 }, { logger, clock: new FakeClock() });
    const request = { from: 'a.00000001', to: 'b.00000001', version: 1 };
    return openTrunk('127.0.0.1:1', request, { ask: async () => whole, tls: null, protocol }, given.signal);
  }

  /** The fault that opening fails with. */
  const code = (response: Parameters<typeof open>[0] = {}): Promise<string> =>
    open(response).then(
      ({ socket }) => {
        socket.destroy();
        return 'none';
      },
      (error: LinkGatewayError<'trunk'>) => error.data.why,
    );

  it.each([
    ['the host of the service address', () => `:${port}`],
    ['the host that the answer names', () => `127.0.0.1:${port}`],
  ])('connects to %s, sends the token, and returns the bytes after the greeting', async (_, address) => {
    const shown = Promise.withResolvers<Buffer>();
    answer = (socket) => {
      socket.once('data', shown.resolve);
      socket.write(Buffer.concat([GREETING, Buffer.from('more')]));
    };
    const { socket, rest } = await open({ address: address() });
    expect([socket.isPaused(), String(rest)]).toEqual([true, 'more']);
    expect(await shown.promise).toEqual(TOKEN);
    socket.destroy();
  });

  it('accepts the greeting in pieces of any size', async () => {
    answer = (socket) => {
      socket.setNoDelay(true);
      for (const byte of GREETING) socket.write(Buffer.of(byte));
    };
    expect(await code()).toBe('none');
  });

  it.each([
    [{ token: TOKEN.subarray(1) }, 'invalid'],
    [{ token: Buffer.alloc(TOKEN_BYTES + 1) }, 'invalid'],
    [{ address: '' }, 'invalid'],
    [{ address: ':' }, 'invalid'],
    [{ address: ':70000' }, 'invalid'],
    [{ version: 3 }, 'version'],
  ])('fails if the call is answered %j', async (response, why) => {
    expect(await code(response)).toBe(why);
    expect(sockets).toEqual([]);
  });

  it.each<[string, (socket: Socket) => unknown, string]>([
    ['says something else', (socket) => socket.write(Buffer.alloc(GREETING.length)), 'invalid'],
    ['closes its side', (socket) => socket.end(), 'unreachable'],
    ['resets the connection', (socket) => socket.resetAndDestroy(), 'unreachable'],
    ['closes in the middle of the greeting', (socket) => socket.end(GREETING.subarray(1)), 'unreachable'],
  ])('fails if the other side %s', async (_, does, why) => {
    answer = (socket) => void does(socket);
    expect(await code()).toBe(why);
  });

  it('is given up, and the connection closed, when its time is over', async () => {
    const closed = Promise.withResolvers<void>();
    answer = (socket) => {
      socket.on('close', () => closed.resolve()).resume();
      given.abort();
    };
    expect(await code()).toBe('timeout');
    await closed.promise;
  });

  it('has no more to do with the time that it had, once the trunk is open', async () => {
    const { socket } = await open();
    given.abort();
    expect(socket.destroyed).toBe(false);
    socket.destroy();
  });
});
