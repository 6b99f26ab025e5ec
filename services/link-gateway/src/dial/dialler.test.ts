import { getEventListeners, once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { HandshakeFailure } from '@spanmesh/dmsg-socket/handshake/handshaker';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Admitted, NotAdmitted } from '../entrance/admission.ts';
import { LinkGatewayError, type LookUpFault } from '../gateway-error.ts';
import { GatewayMetrics } from '../metrics.ts';
import type { Peer } from '../peers/peer.ts';
import { type Asker, OPERATOR } from './asker.ts';
import { type DialLimits, Dialler, type DiallerDependencies, type Resolve } from './dialler.ts';

const PEER = {} as Peer;
const THEM: Asker = { kind: 'peer', principal: 'them' };

let server: Server;
let port: number;
const accepted: Socket[] = [];

beforeAll(async () => {
  server = createServer((socket) => {
    socket.on('error', () => {}).resume();
    accepted.push(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo);
});
afterAll(() => {
  for (const socket of accepted) socket.destroy();
  server.close();
});

let clock: FakeClock;
let metrics: GatewayMetrics;
let resolve: Resolve;
let access: Admitted | NotAdmitted;
/** Addresses that peers may not have us connect to, and that are not admitted. */
let forbidden: string[];
let unwanted: string[];
/** What the parts of the gateway were told. */
let told: unknown[];
/** Called when a handshake begins. */
let shaking: (socket: Socket, done: (result: HandshakeFailure) => void) => void;
let dialler: Dialler;

beforeEach(() => {
  clock = new FakeClock();
  metrics = new GatewayMetrics();
  resolve = async () => ['127.0.0.1'];
  access = { kind: 'plaintext', file: '' };
  forbidden = [];
  unwanted = [];
  told = [];
  shaking = () => {};
  dialler = new Dialler({
    clock,
    metrics,
    options: { connectTimeout: 1000 },
    resolve: (host: string, asking: never) => {
      told.push(['resolve', host, (asking as { asker: string }).asker]);
      return resolve(host, asking);
    },
    policy: {
      forbidsPort: (which: number) => which === 1,
      allows: (address: string) => !forbidden.includes(address),
    },
    entrance: {
      admission: {
        admit: () => access,
        refusal: (address: string) => (unwanted.includes(address) ? 'no-key' : null),
        release: () => {},
      },
      handshaker: {
        start: (socket: Socket, _host: string, _access: Admitted, done: never) => shaking(socket, done),
      },
      countFailed: () => {},
    },
    peers: {
      connect: ({ socket, origin }: { socket: Socket; origin: unknown }, dialect: unknown) => {
        told.push(['connect', dialect, origin]);
        socket.destroy();
        return PEER;
      },
    },
    refusals: { admit: () => ({ log: false, suppressed: 0, others: 0 }) },
    throttle: { admit: () => ({ log: false, suppressed: 0 }) },
    shares: { limited: (limit: unknown) => told.push(['limited', limit]) },
  } as unknown as DiallerDependencies);
});

function dial(host: string, limits: Partial<DialLimits> = {}, to = port): Promise<Peer> {
  return dialler.dial({ host, port: to }, 'auto', { kind: 'shell' }, { asker: OPERATOR, ...limits });
}

/** Why a dial fails, and the cause. */
async function why(dialled: Promise<Peer>): Promise<[why: string, cause: unknown]> {
  try {
    await dialled;
  } catch (error) {
    if (error instanceof LinkGatewayError) return [(error as LinkGatewayError<'dial'>).data.why, error.cause];
    throw error;
  }
  throw new Error('it has not failed');
}

it('a dial that was given up before it began is over at once', async () => {
  /** For each look-up: whether the dial had already been given up when the look-up was asked for. */
  const lookUps: boolean[] = [];
  resolve = (_host, { signal }) => {
    lookUps.push(signal.aborted);
    return Promise.reject(new LinkGatewayError('look-up', { why: 'given-up' }));
  };
  const dialled = dial('a.example', { signal: AbortSignal.abort() });
  await expect(dialled).rejects.toMatchObject({ data: { why: 'timeout' } });
  expect(lookUps).toEqual([true]);
  expect([metrics.dialsFailed, clock.pending]).toEqual([1, 0]);
});

it('a dial gives a peer, in its dialect, and leaves no timer', async () => {
  expect(await dial('a.example')).toBe(PEER);
  expect(await dialler.dial({ host: '127.0.0.1', port }, 'circuit', { kind: 'shell' }, { asker: THEM })).toBe(PEER);
  expect(told).toEqual([
    ['resolve', 'a.example', 'operator'],
    ['connect', null, { kind: 'shell' }],
    // A numeric address is not looked up.
    ['connect', 'circuit', { kind: 'shell' }],
  ]);
  expect([metrics.connectionsDialled, metrics.dialsFailed, clock.pending]).toEqual([2, 0, 0]);
});

it('a dial tries one address after the other', async () => {
  // Nobody listens at the first.
  resolve = async () => ['127.0.0.9', '127.0.0.1'];
  expect(await dial('a.example')).toBe(PEER);
  expect([metrics.connectionsDialled, metrics.dialsFailed, clock.pending]).toEqual([1, 0, 0]);
});

/** Lets everything go on that waits for no event of the network. */
async function microtasks(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

/** Every connection that was made has been closed by us. */
const allClosed = () => expect.poll(() => accepted.every(({ readableEnded }) => readableEnded)).toBe(true);

describe('an address that does not answer', () => {
  it('takes its share of the time only, and the last one all that is left', async () => {
    resolve = async () => ['127.0.0.1', '127.0.0.1', '127.0.0.1'];
    clock.advance(50);
    const given = new AbortController();
    const dialled = dial('a.example', { timeout: 900, signal: given.signal });
    await microtasks();
    expect([clock.pending, clock.nextAt()]).toEqual([2, 350]);
    clock.advance(300);
    await microtasks();
    expect([clock.pending, clock.nextAt()]).toEqual([2, 650]);
    clock.advance(300);
    await microtasks();
    expect([clock.pending, clock.nextAt(), getEventListeners(given.signal, 'abort').length]).toEqual([1, 950, 1]);
    expect(await dialled).toBe(PEER);
    expect([clock.pending, getEventListeners(given.signal, 'abort')]).toEqual([0, []]);
    await allClosed();
  });

  it('is not tried any more once the time is over, or the dial was given up', async () => {
    resolve = async () => ['127.0.0.1', '127.0.0.1'];
    const [late, given] = [why(dial('a.example')), new AbortController()];
    await microtasks();
    clock.advance(500);
    await microtasks();
    clock.advance(500);
    expect((await late)[0]).toBe('timeout');
    const dialled = why(dial('a.example', { signal: given.signal }));
    await microtasks();
    given.abort();
    const [reason, cause] = await dialled;
    expect([reason, (cause as LinkGatewayError<'dial'>).data]).toEqual(['timeout', { why: 'timeout' }]);
    expect([clock.pending, metrics.dialsFailed, told.length]).toEqual([0, 2, 2]);
    await allClosed();
  });
});

describe('a dial fails', () => {
  it.each<[LookUpFault, string, boolean]>([
    ['timeout', 'timeout', true],
    ['given-up', 'unresolved', true],
    ['too-many', 'refused', true],
    ['not-found', 'unresolved', false],
  ])('when the look-up does: %s', async (fault, expected, isCause) => {
    const cause = new Error('the name server says no');
    const error = new LinkGatewayError('look-up', { why: fault }, { cause });
    resolve = () => Promise.reject(error);
    expect(await why(dial('a.example'))).toEqual([expected, isCause ? error : cause]);
    expect([metrics.dialsFailed, metrics.connectionsDialled, clock.pending]).toEqual([1, 0, 0]);
  });

  it('when the look-up has a fault', async () => {
    const fault = new RangeError('a fault');
    resolve = () => Promise.reject(fault);
    expect(await why(dial('a.example'))).toEqual(['unresolved', fault]);
  });

  it('when nobody listens', async () => {
    const [reason, cause] = await why(dial('127.0.0.9'));
    expect([reason, (cause as NodeJS.ErrnoException).code]).toEqual(['unreachable', 'ECONNREFUSED']);
    expect(clock.pending).toBe(0);
  });

  it('where peers may not have us connect to, which is told; operators may', async () => {
    const limit = { resource: 'forbidden dials', bound: 'share', principal: 'them', held: 0, limit: 0 };
    forbidden = ['127.0.0.1'];
    expect(await why(dial('a.example', { asker: THEM }))).toEqual(['not-allowed', undefined]);
    expect(told.splice(0)).toEqual([
      ['resolve', 'a.example', 'peer them'],
      ['limited', limit],
    ]);
    // No address is allowed at that port: the name is not looked up.
    expect(await why(dial('a.example', { asker: THEM }, 1))).toEqual(['not-allowed', undefined]);
    expect(told.splice(0)).toEqual([['limited', limit]]);
    expect(await dial('127.0.0.1')).toBe(PEER);
    expect((await why(dial('127.0.0.9', {}, 1)))[0]).toBe('unreachable');
    resolve = async () => ['127.0.0.1', '127.0.0.9'];
    expect((await why(dial('a.example', { asker: THEM })))[0]).toBe('unreachable');
    resolve = async () => [];
    expect((await why(dial('a.example')))[0]).toBe('not-allowed');
    expect(told.at(-1)).toEqual(['resolve', 'a.example', 'operator']);
  });

  it('when no address is admitted', async () => {
    unwanted = ['127.0.0.1'];
    expect((await why(dial('a.example')))[0]).toBe('not-admitted');
    resolve = async () => ['::ffff:127.0.0.1'];
    expect((await why(dial('a.example')))[0]).toBe('not-admitted');
    expect([metrics.dialsFailed, clock.pending]).toEqual([2, 0]);
  });

  it('when the gateway does not take the connection', async () => {
    access = { kind: 'refused', refusal: 'too-many' };
    expect((await why(dial('127.0.0.1')))[0]).toBe('refused');
    expect([metrics.connectionsDialled, metrics.dialsFailed, clock.pending]).toEqual([0, 1, 0]);
  });

  it('when the handshake does, and by a timeout if that has ended the handshake', async () => {
    access = { kind: 'encrypted', file: 'remote/x.pub' } as Admitted;
    shaking = (_socket, done) => done({ failure: 'closed' });
    expect((await why(dial('127.0.0.1')))[0]).toBe('handshake');
    for (const [failure, expected] of [
      ['closed', 'timeout'],
      ['CRYPTO', 'handshake'],
    ] as const) {
      const given = new AbortController();
      shaking = (socket, done) => {
        socket.once('close', () => done({ failure }));
        given.abort();
      };
      expect((await why(dial('127.0.0.1', { signal: given.signal })))[0]).toBe(expected);
    }
    // The time of the dial is over: that of the setting, or its own.
    for (const [timeout, ms] of [
      [undefined, 1000],
      [20, 20],
    ] as const) {
      shaking = (socket, done) => {
        socket.once('close', () => done({ failure: 'closed' }));
        clock.advance(ms - 1);
        told.push(socket.destroyed);
        clock.advance(1);
      };
      expect((await why(dial('127.0.0.1', timeout === undefined ? {} : { timeout })))[0]).toBe('timeout');
      expect(told.splice(0)).toEqual([false]);
    }
    expect([metrics.dialsFailed, clock.pending]).toEqual([5, 0]);
  });
});
