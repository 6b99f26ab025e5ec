import { constants, publicDecrypt, publicEncrypt, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { HANDSHAKE_BYTES, makeHandshake } from '@spanmesh/dmsg/crypto/handshake';
import { ReplayMemory } from '@spanmesh/dmsg/crypto/replay';
import { OPENSSL_STEPS, type RsaSteps } from '@spanmesh/dmsg/crypto/rsa-steps';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testKeys } from '../keys/keys.fixture.ts';
import { type FailingOf, FailureLimit } from './failure-limit.ts';
import { type HandshakeFailure, Handshaker, type Secured } from './handshaker.ts';

const ours = testKeys();
const theirs = testKeys();
const access = { kind: 'encrypted', file: 'f', own: ours.own, peer: theirs.shown, tagged: true, bound: false } as const;
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

/** Both ends of a new connection. */
async function pair(): Promise<[Socket, Socket]> {
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const peer = connect((server.address() as AddressInfo).port, '127.0.0.1');
  peer.on('error', () => {});
  const [own] = await accepted;
  sockets.push(peer, own);
  return [own, peer];
}

function handshaker(
  limits: { total?: number; perAddress?: number; mayFail?: number; random?: typeof randomBytes } = {},
) {
  const clock = new FakeClock();
  const { total = 10, perAddress = 10, mayFail = 100, random = randomBytes } = limits;
  const replays = new ReplayMemory({ rememberMs: 10_000, limit: 10 }, { clock });
  const told: [FailingOf, string][] = [];
  const reached = (of: FailingOf, address: string) => told.push([of, address]);
  const failures = new FailureLimit({ perAddress: mayFail, perKey: 100 }, { clock, reached });
  const { steps, turn } = countedSteps();
  const deps = { clock, random, replays, failures, steps };
  return { clock, told, steps, turn, handshaker: new Handshaker({ timeoutMs: 5000, total, perAddress }, deps) };
}

/** Counts the RSA operations that read handshakes; `turn(n)` resolves when n have been done. */
function countedSteps() {
  let waiting: { readonly count: number; readonly resolve: () => void } | null = null;
  const steps: RsaSteps & { done: number } = {
    done: 0,
    privateDecrypt: (key, bytes) => counted(OPENSSL_STEPS.privateDecrypt(key, bytes)),
    publicDecrypt: (key, bytes) => counted(OPENSSL_STEPS.publicDecrypt(key, bytes)),
  };
  const counted = (result: Uint8Array): Uint8Array => {
    steps.done++;
    if (steps.done === waiting?.count) setImmediate(waiting.resolve);
    return result;
  };
  const turn = (count: number) => new Promise<void>((resolve) => (waiting = { count, resolve }));
  return { steps, turn };
}

/** Random handshakes of the three kinds whose refusals must not differ in time; the first block decides the kind. */
function noiseOfEachKind(): Buffer[] {
  const kinds = new Map<string, Buffer>();
  while (kinds.size < 3) {
    const noise = randomBytes(HANDSHAKE_BYTES);
    noise[0]! &= 0x3f;
    noise[HANDSHAKE_BYTES / 2]! &= 0x3f;
    const between = OPENSSL_STEPS.privateDecrypt(ours.own, noise.subarray(0, HANDSHAKE_BYTES / 2));
    const key = { key: theirs.shown, padding: constants.RSA_NO_PADDING };
    if ((between[0]! & 0xc0) !== 0) kinds.set('after one operation', noise);
    else if ((publicDecrypt(key, between)[0]! & 0xc0) !== 0) kinds.set('after two', noise);
    else kinds.set('after more', noise);
  }
  return [...kinds.values()];
}

function start(to: Handshaker, socket: Socket, address = 'a'): Promise<Secured | HandshakeFailure> {
  return new Promise((resolve) => to.start(socket, address, access, resolve));
}

describe('handshakes', () => {
  it('leave two ciphers, the bytes that followed, and a socket without listeners', async () => {
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

  it('end when their time is over, however far they are', async () => {
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

  it('end when the peer goes, or we stop, before or after a byte was sent', async () => {
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

  it('report the error, and nothing else', async () => {
    const { handshaker: to, clock, turn } = handshaker();
    const { wire } = makeHandshake(peerKeys, randomBytes);
    const results: unknown[] = [];
    for (const [n, bytes] of [wire, wire, Buffer.alloc(HANDSHAKE_BYTES, 0xff)].entries()) {
      const [own, peer] = await pair();
      const read = turn(4 * (n + 1));
      const done = start(to, own);
      peer.write(bytes);
      await read;
      clock.advance(5000);
      const result = await done;
      results.push('sealer' in result ? 'secured' : result);
    }
    expect(results).toEqual([
      'secured',
      { failure: 'KEYXCHGFAIL', check: 'replay' },
      { failure: 'KEYXCHGFAIL', check: 'keys' },
    ]);
  });

  it('fail alone without random bytes', async () => {
    const asked = Promise.withResolvers<void>();
    const random = () => {
      setImmediate(asked.resolve);
      return Buffer.alloc(3);
    };
    const { handshaker: to, clock } = handshaker({ random });
    const [own] = await pair();
    const done = start(to, own);
    await asked.promise;
    clock.advance(5000);
    expect(await done).toMatchObject({ failure: 'BADURANDOM' });
  });

  it('that fail do the same work and are closed at the same time, whatever the peer does', async () => {
    const { handshaker: to, clock, steps, turn } = handshaker();
    const wrong = [
      ...noiseOfEachKind(),
      Buffer.alloc(HANDSHAKE_BYTES, 0xff),
      Buffer.from(makeHandshake({ own: ours.own, peer: ours.shown }, randomBytes).wire),
    ];
    const work: number[] = [];
    for (const bytes of wrong) {
      const [own, peer] = await pair();
      const before = steps.done;
      const read = turn(before + 4);
      const done = start(to, own);
      peer.write(Buffer.concat([bytes, Buffer.from('more')]));
      await read;
      peer.end();
      await once(peer, 'finish');
      clock.advance(4999);
      // Seen from outside nothing has happened: nothing has been closed.
      await new Promise((resolve) => setImmediate(resolve));
      expect([own.destroyed, to.total]).toEqual([false, 1]);
      clock.advance(1);
      expect(own.destroyed).toBe(true);
      expect(await done).toEqual({ failure: 'KEYXCHGFAIL', check: 'keys' });
      work.push(steps.done - before);
    }
    expect(work).toEqual([4, 4, 4, 4, 4]);
  });

  it('that this side gives up report why they had failed before', async () => {
    const { handshaker: to, turn } = handshaker();
    const [own, peer] = await pair();
    const read = turn(4);
    const done = start(to, own);
    peer.write(randomBytes(HANDSHAKE_BYTES).fill(0, 0, 1));
    await read;
    own.destroy();
    expect(await done).toEqual({ failure: 'KEYXCHGFAIL', check: 'keys' });
  });

  it('are refused unread once too many have failed, before they begin and while they are under way', async () => {
    const { handshaker: to, clock, steps, turn, told } = handshaker({ mayFail: 2 });
    const noise = randomBytes(HANDSHAKE_BYTES).fill(0, 0, 1);
    const pairs = [await pair(), await pair(), await pair()];
    const results = pairs.map(([own]) => start(to, own, '10.0.0.1'));
    for (const [, peer] of pairs) await once(peer, 'data');
    for (const [n, [, peer]] of pairs.slice(0, 2).entries()) {
      const read = turn(4 * (n + 1));
      peer.write(noise);
      await read;
    }
    expect(told).toEqual([['address', '10.0.0.1']]);
    expect([to.full('10.0.0.1', access), to.full('10.0.0.2', access)]).toEqual(['failed-address', null]);
    // The third handshake had begun before the limit was reached. It is valid, but is refused unread.
    pairs[2]![1].write(makeHandshake(peerKeys, randomBytes).wire);
    const [good, honest] = await pair();
    const other = start(to, good, '10.0.0.2');
    honest.write(makeHandshake(peerKeys, randomBytes).wire);
    expect(await other).toHaveProperty('sealer');
    expect(steps.done).toBe(12);
    clock.advance(5000);
    expect((await Promise.all(results)).map((result) => 'failure' in result && result.failure)).toEqual([
      'KEYXCHGFAIL',
      'KEYXCHGFAIL',
      'limited',
    ]);
  });

  it('must name our key where an operator asks for that', async () => {
    const { handshaker: to, clock, turn } = handshaker();
    const router = testKeys();
    const padding = constants.RSA_NO_PADDING;
    const { wire } = makeHandshake({ own: theirs.own, peer: router.shown }, randomBytes);
    const forwarded = Buffer.concat(
      [0, 256].map((at) => {
        const signed = OPENSSL_STEPS.privateDecrypt(router.own, wire.subarray(at, at + 256));
        return publicEncrypt({ key: ours.shown, padding }, signed);
      }),
    );
    const [own, peer] = await pair();
    const read = turn(4);
    const done = new Promise((resolve) => to.start(own, 'a', { ...access, bound: true }, resolve));
    peer.write(forwarded);
    await read;
    clock.advance(5000);
    expect(await done).toEqual({ failure: 'KEYXCHGFAIL', check: 'forwarded' });
    const [second, sender] = await pair();
    const good = new Promise((resolve) => to.start(second, 'a', { ...access, bound: true }, resolve));
    sender.write(makeHandshake(peerKeys, randomBytes).wire);
    expect(await good).toHaveProperty('sealer');
  });

  // Limits: handshake/limits.ts DEFAULT_MAX_HANDSHAKES, handshake/limits.ts DEFAULT_MAX_HANDSHAKES_PER_ADDRESS
  it('are bounded, in all and for each address', async () => {
    const { handshaker: to } = handshaker({ total: 2, perAddress: 1 });
    const [first] = await pair();
    const done = start(to, first, 'a');
    expect([to.full('a', access), to.full('b', access)]).toEqual(['address', null]);
    const [second] = await pair();
    const other = start(to, second, 'b');
    expect(to.full('c', access)).toBe('total');
    to.stop();
    await Promise.all([done, other]);
    expect(to.full('a', access)).toBeNull();
  });
});
