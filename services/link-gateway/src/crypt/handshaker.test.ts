import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { HANDSHAKE_BYTES, makeHandshake } from '@spanmesh/dmsg/crypto/handshake';
import { ReplayMemory } from '@spanmesh/dmsg/crypto/replay';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testKeys } from '../keys/keys.fixture.ts';
import { type HandshakeFailure, Handshaker, type Secured } from './handshaker.ts';

const ours = testKeys();
const theirs = testKeys();
const access = { kind: 'encrypted', file: 'f', own: ours.own, peer: theirs.shown, tagged: true } as const;
const peerKeys = { own: theirs.own, peer: ours.shown };

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

/** Both ends of a connection. */
async function pair(): Promise<[Socket, Socket]> {
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const peer = connect((server.address() as AddressInfo).port, '127.0.0.1');
  peer.on('error', () => {});
  const [own] = await accepted;
  sockets.push(peer, own);
  return [own, peer];
}

function handshaker(limits: { total?: number; perAddress?: number; random?: typeof randomBytes } = {}) {
  const clock = new FakeClock();
  const { total = 10, perAddress = 10, random = randomBytes } = limits;
  const replays = new ReplayMemory({ rememberMs: 1000, limit: 10 }, { clock });
  return { clock, handshaker: new Handshaker({ timeoutMs: 5000, total, perAddress }, { clock, random, replays }) };
}

function start(to: Handshaker, socket: Socket, address = 'a'): Promise<Secured | HandshakeFailure> {
  return new Promise((resolve) => to.start(socket, address, access, resolve));
}

describe('handshakes', () => {
  it('leave two ciphers, what came behind, and a socket without listeners', async () => {
    const { handshaker: to, clock } = handshaker();
    const [own, peer] = await pair();
    const done = start(to, own);
    expect(to.total).toBe(1);
    peer.write(Buffer.concat([makeHandshake(peerKeys, randomBytes).wire, Buffer.from('behind')]));
    const result = await done;
    expect('rest' in result && Buffer.from(result.rest).toString()).toBe('behind');
    expect(to.total).toBe(0);
    expect(own.isPaused()).toBe(true);
    expect(own.listenerCount('data') + own.listenerCount('close') + own.listenerCount('error')).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('are over when their time is, wherever they are', async () => {
    const { handshaker: to, clock } = handshaker();
    const [first] = await pair();
    const [second, peer] = await pair();
    const results = [start(to, first), start(to, second)];
    peer.write(Buffer.alloc(100));
    await once(peer, 'data');
    clock.advance(4999);
    expect(to.total).toBe(2);
    clock.advance(1);
    expect(await Promise.all(results)).toEqual([{ failure: 'timeout' }, { failure: 'timeout' }]);
    expect([to.total, first.destroyed, second.destroyed]).toEqual([0, true, true]);
  });

  it('are over when the peer goes, or we stop, before or after a word was said', async () => {
    const { handshaker: to, clock } = handshaker();
    const [closed, peer] = await pair();
    const result = start(to, closed);
    await once(peer, 'data');
    peer.end(Buffer.alloc(HANDSHAKE_BYTES - 1));
    expect(await result).toEqual({ failure: 'closed' });
    const [stopped] = await pair();
    const other = start(to, stopped);
    to.stop();
    expect(await other).toEqual({ failure: 'stopping' });
    expect([to.total, clock.pending]).toEqual([0, 0]);
  });

  it('say which error, and nothing else', async () => {
    const { handshaker: to } = handshaker();
    const { wire } = makeHandshake(peerKeys, randomBytes);
    const results: unknown[] = [];
    for (const bytes of [wire, wire, Buffer.alloc(HANDSHAKE_BYTES, 0xff)]) {
      const [own, peer] = await pair();
      const done = start(to, own);
      peer.write(bytes);
      const result = await done;
      results.push('sealer' in result ? 'secured' : result);
    }
    expect(results).toEqual([
      'secured',
      { failure: 'KEYXCHGFAIL', check: 'replay' },
      { failure: 'KEYXCHGFAIL', check: 'number too large for its key' },
    ]);
  });

  it('fail by themselves without random bytes', async () => {
    const { handshaker: to } = handshaker({ random: () => Buffer.alloc(3) });
    const [own] = await pair();
    expect(await start(to, own)).toMatchObject({ failure: 'BADURANDOM' });
  });

  it('are bounded, in all and for each address', async () => {
    const { handshaker: to } = handshaker({ total: 2, perAddress: 1 });
    const [first] = await pair();
    const done = start(to, first, 'a');
    expect([to.full('a'), to.full('b')]).toEqual(['address', null]);
    const [second] = await pair();
    const other = start(to, second, 'b');
    expect(to.full('c')).toBe('total');
    to.stop();
    await Promise.all([done, other]);
    expect(to.full('a')).toBeNull();
  });
});
