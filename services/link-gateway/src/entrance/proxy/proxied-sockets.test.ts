import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { parsePrefix } from '@spanmesh/dmsg-socket/address/prefix';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ProxiedSockets } from './proxied-sockets.ts';
import { proxyHeader } from './proxy.fixture.ts';

let server: Server;
const sockets: Socket[] = [];

beforeAll(async () => {
  server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});
afterAll(() => {
  server.close();
});

async function pair(): Promise<[Socket, Socket]> {
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const peer = connect((server.address() as AddressInfo).port, '127.0.0.1');
  peer.on('error', () => {});
  const [own] = await accepted;
  sockets.push(peer, own);
  return [own, peer];
}

function proxied(limit = 10) {
  const clock = new FakeClock();
  const from = ['10.0.0.0/8', '::1'].map(parsePrefix);
  return { clock, proxied: new ProxiedSockets({ from, timeoutMs: 1000, limit }, { clock }) };
}

/** The result of reading a socket's header: the host of the peer, `local`, `full`, or why it failed. */
function outcome(of: ProxiedSockets, socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    of.read(socket, (result) => {
      if (result === 'full') resolve('full');
      else if (result instanceof Error) resolve(result.data.why);
      else resolve(result.source?.host ?? 'local');
    });
  });
}

describe('sockets from balancers', () => {
  it('are those from the prefixes, in any spelling', () => {
    const { proxied: of } = proxied();
    expect(['10.1.2.3', '::ffff:10.1.2.3', '::1', '11.0.0.1', '::2', 'x'].map((address) => of.trusts(address))).toEqual(
      [true, true, true, false, false, false],
    );
  });

  it('lose their header, which may come byte by byte, and keep what follows', async () => {
    const { proxied: of, clock } = proxied();
    const [own, peer] = await pair();
    const done = outcome(of, own);
    peer.setNoDelay(true);
    for (const byte of Buffer.concat([proxyHeader('192.0.2.1', 5), Buffer.from('peer')])) peer.write(Buffer.of(byte));
    expect(await done).toBe('192.0.2.1');
    expect([own.isPaused(), own.listenerCount('data'), own.listenerCount('close'), clock.pending]).toEqual([
      true,
      0,
      0,
      0,
    ]);
    peer.end();
    let rest = '';
    own.on('data', (chunk: Buffer) => {
      rest += chunk.toString();
    });
    own.resume();
    await once(own, 'end');
    expect(rest).toBe('peer');
  });

  it('end by a bad header, a timeout, the peer, a stop, or because too many wait', async () => {
    const { proxied: of, clock } = proxied(3);
    const [bad, badPeer] = await pair();
    const badly = outcome(of, bad);
    badPeer.write('GET / HTTP/1.1\r\n');
    expect(await badly).toBe('signature');
    const [gone, gonePeer] = await pair();
    const leaving = outcome(of, gone);
    gonePeer.end(proxyHeader('192.0.2.1', 5).subarray(0, 5));
    expect(await leaving).toBe('closed');
    const waiting = [await pair(), await pair(), await pair()].map(([own]) => outcome(of, own));
    const [extra] = await pair();
    expect(await outcome(of, extra)).toBe('full');
    clock.advance(1000);
    expect(await Promise.all(waiting)).toEqual(['timeout', 'timeout', 'timeout']);
    const [last] = await pair();
    const stopped = outcome(of, last);
    of.stop();
    expect(await stopped).toBe('empty');
    expect([bad, gone, extra, last].every((socket) => socket.destroyed)).toBe(true);
    expect(clock.pending).toBe(0);
  });
});
