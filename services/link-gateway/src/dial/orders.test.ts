import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { beforeEach, describe, expect, it } from 'vitest';
import type { CloseReason } from '../connection/close-reason.ts';
import { LinkGatewayError } from '../gateway-error.ts';
import { MAX_DIAL_OWNERS } from '../limits.ts';
import { Peer } from '../peers/peer.ts';
import { OPERATOR } from './asker.ts';
import type { DialledConnection, Order } from './dialled-connection.ts';
import type { DialLimits } from './dialler.ts';
import { MediaEvents } from './media-events.ts';
import { Orders } from './orders.ts';

/** A dial that the test ends. */
interface Dialled {
  readonly args: unknown[];
  readonly limits: DialLimits;
  readonly resolve: (peer: Peer) => void;
  readonly reject: (error: unknown) => void;
}

let clock: FakeClock;
let orders: Orders;
let dials: Dialled[];
/** What watchers are told. */
let told: unknown[];

beforeEach(() => {
  clock = new FakeClock();
  dials = [];
  told = [];
  const events = new MediaEvents();
  events.listeners.add({
    lnkConnOpened: () => {},
    lnkConnClosed: () => {},
    slotReceived: () => {},
    up: (dialled: DialledConnection) => told.push(['up', dialled]),
    down: (dialled: DialledConnection, reason: CloseReason) => told.push(['down', dialled, reason]),
  });
  const dialler = {
    dial: (...args: unknown[]) => {
      const { promise, resolve, reject } = Promise.withResolvers<Peer>();
      dials.push({ args, limits: args[3] as DialLimits, resolve, reject });
      return promise;
    },
  };
  orders = new Orders({ dialler: dialler as never, events, clock });
});

function order(more: Partial<Order> = {}): Order {
  return {
    owner: 'a',
    epoch: 1,
    generation: 1,
    host: 'a.example',
    port: 987,
    dialect: 'auto',
    connectTimeout: 1000,
    answerTimeout: 0,
    label: 'vol',
    asker: OPERATOR,
    ...more,
  };
}

/** A peer whose socket closes when the test calls `orders.gone`. */
function aPeer() {
  const closed: CloseReason[] = [];
  const connection = {
    closeReason: null as CloseReason | null,
    close(reason: CloseReason) {
      closed.push(reason);
      this.closeReason ??= reason;
    },
  };
  return { peer: new Peer(connection as never), closed, connection };
}

/** Waits until everything that can go on has gone on. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** The error that it is rejected with. */
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );

describe('an order', () => {
  it('is dialled as it says, and its connection is told of as up, and as down when its socket closes', async () => {
    const first = order({ dialect: 'circuit' });
    const result = orders.dial(first);
    await settled();
    const { args, limits, resolve } = dials[0]!;
    expect(args.slice(0, 3)).toEqual([
      { host: 'a.example', port: 987 },
      'circuit',
      { kind: 'target', owner: 'a', generation: 1, label: 'vol' },
    ]);
    expect([limits.asker, limits.timeout, limits.signal?.aborted]).toEqual([OPERATOR, 1000, false]);
    const { peer } = aPeer();
    resolve(peer);
    expect(await result).toBe(peer);
    const dialled = { order: first, peer };
    expect([[...orders.established()], orders.sockets, told.splice(0)]).toEqual([[dialled], 1, [['up', dialled]]]);
    // The same once more.
    expect(await orders.dial(order({ dialect: 'circuit' }))).toBe(peer);
    expect(dials).toHaveLength(1);
    orders.gone(aPeer().peer, 'peer-closed');
    expect(orders.sockets).toBe(1);
    orders.gone(peer, 'peer-closed');
    expect([[...orders.established()], orders.sockets, told]).toEqual([[], 0, [['down', dialled, 'peer-closed']]]);
    await settled();
    // It was carried out: a later order must have a higher number.
    expect(() => orders.dial(order())).toThrow(expect.objectContaining({ data: { why: 'superseded' } }));
    expect(await orders.hangup(order())).toBe(false);
    expect(orders.size).toBe(1);
  });

  it('of an earlier number is refused, in whatever sequence they come', async () => {
    void errorOf(orders.dial(order({ generation: 5 })));
    for (const generation of [4, 5]) {
      const other = order({ generation });
      if (generation === 4) expect(() => orders.dial(other)).toThrow(/order 1\.5 or a later one/);
      else expect(orders.dial(other)).toBe(orders.dial(other));
    }
    await settled();
    expect(dials).toHaveLength(1);
  });

  it('waits until the connection of the order before is gone', async () => {
    const before = orders.dial(order());
    await settled();
    const { peer, closed } = aPeer();
    dials[0]!.resolve(peer);
    await before;
    const result = errorOf(orders.dial(order({ generation: 2 })));
    await settled();
    expect([closed, dials.length]).toEqual([['hangup'], 1]);
    orders.gone(peer, 'hangup');
    await settled();
    expect(dials).toHaveLength(2);
    expect(told.map((what) => (what as unknown[])[0])).toEqual(['up', 'down']);
    dials[1]!.reject(new LinkGatewayError('dial', { why: 'unreachable' }));
    expect(await result).toMatchObject({ data: { why: 'failed', failure: 'unreachable' } });
  });

  it('is not dialled once the gateway is stopping, and attempts end', async () => {
    const attempt = errorOf(orders.dial(order()));
    const made = orders.dial(order({ owner: 'b' }));
    await settled();
    const { peer, closed } = aPeer();
    dials[1]!.resolve(peer);
    await made;
    await orders.hangup({ owner: 'idle', epoch: 1, generation: 1 });
    orders.stop();
    expect([dials[0]!.limits.signal?.aborted, dials[1]!.limits.signal?.aborted, closed]).toEqual([true, false, []]);
    dials[0]!.reject(new LinkGatewayError('dial', { why: 'timeout' }));
    expect(await attempt).toMatchObject({ data: { why: 'superseded' } });
    expect(() => orders.dial(order({ owner: 'c' }))).toThrow('the gateway is stopping');
    expect(orders.size).toBe(3);
  });

  it('of a new leader ends what the former has not established, and forgets owners without anything', async () => {
    let heard = 0;
    orders.onEpoch = () => heard++;
    await orders.hangup({ owner: 'idle', epoch: 1, generation: 1 });
    const attempt = errorOf(orders.dial(order()));
    const made = orders.dial(order({ owner: 'b' }));
    await settled();
    const { peer, closed } = aPeer();
    dials[1]!.resolve(peer);
    await made;
    expect([heard, orders.epoch, orders.size]).toEqual([1, 1, 3]);
    orders.checkEpoch(3);
    expect([heard, orders.epoch, orders.size, closed]).toEqual([2, 3, 2, []]);
    orders.checkEpoch(3);
    expect(heard).toBe(2);
    expect(() => orders.checkEpoch(2)).toThrow(
      expect.objectContaining({ message: 'epoch 2 is over, 3 has begun', data: { why: 'stale-epoch', epoch: 3 } }),
    );
    expect(dials[0]!.limits.signal?.aborted).toBe(true);
    dials[0]!.reject(new LinkGatewayError('dial', { why: 'timeout' }));
    expect(await attempt).toMatchObject({ data: { why: 'superseded' } });
  });

  it('to hang up ends what it names, and only that', async () => {
    const made = orders.dial(order({ generation: 3 }));
    await settled();
    const { peer, closed } = aPeer();
    dials[0]!.resolve(peer);
    await made;
    expect([await orders.hangup(order({ generation: 2 })), closed]).toEqual([false, []]);
    const ended = orders.hangup(order({ generation: 4 }));
    await settled();
    expect(closed).toEqual(['hangup']);
    orders.gone(peer, 'hangup');
    expect(await ended).toBe(true);
    // Orders up to it are refused.
    expect(() => orders.dial(order({ generation: 4 }))).toThrow(/order 1\.4/);
  });

  it('has room among MAX_DIAL_OWNERS owners: the oldest that has nothing is forgotten', async () => {
    void errorOf(orders.dial(order({ owner: 'busy' })));
    for (let n = 1; n < MAX_DIAL_OWNERS; n++) void orders.hangup({ owner: `${n}`, epoch: 1, generation: 7 });
    expect(orders.size).toBe(MAX_DIAL_OWNERS);
    await orders.hangup({ owner: 'one more', epoch: 1, generation: 1 });
    expect(orders.size).toBe(MAX_DIAL_OWNERS);
    // The owner with an attempt is still known, and the next one is not.
    expect(() => orders.dial(order({ owner: 'busy', generation: 0 }))).toThrow(/order 1\.1/);
    expect(() => orders.dial(order({ owner: '2' }))).toThrow(/order 1\.7/);
    void errorOf(orders.dial(order({ owner: '1' })));
    expect(orders.size).toBe(MAX_DIAL_OWNERS);
  });
});

describe('an order that fails', () => {
  it('because of the peer says why in words, with the error of the system', async () => {
    const result = errorOf(orders.dial(order()));
    await settled();
    const cause = new LinkGatewayError(
      'dial',
      { why: 'unreachable' },
      { cause: Object.assign(new Error(), { code: 'EX' }) },
    );
    dials[0]!.reject(cause);
    expect(await result).toMatchObject({
      message: 'nobody answers there (EX)',
      cause,
      data: { failure: 'unreachable' },
    });
    await settled();
    // Nothing is left of it: nothing need be hung up.
    expect(await orders.hangup(order({ generation: 2 }))).toBe(false);
  });

  it('because of a fault of ours passes that on', async () => {
    const result = errorOf(orders.dial(order()));
    await settled();
    const fault = new RangeError();
    dials[0]!.reject(fault);
    expect(await result).toBe(fault);
  });

  it('because the peer closes names the reason, once the socket has closed', async () => {
    const result = errorOf(orders.dial(order({ answerTimeout: 500 })));
    await settled();
    const { peer, connection } = aPeer();
    dials[0]!.resolve(peer);
    await settled();
    expect([[...orders.established()], orders.sockets, clock.pending]).toEqual([[], 1, 1]);
    connection.closeReason = 'peer-closed';
    orders.gone(peer, 'peer-closed');
    peer.gone();
    expect(await result).toMatchObject({
      message: 'the connection was closed before our LNK_CONN was answered (peer-closed)',
      data: { failure: 'closed' },
    });
    expect([told, clock.pending]).toEqual([[], 0]);
  });

  it('because the peer does not answer closes the connection first', async () => {
    const result = errorOf(orders.dial(order({ answerTimeout: 500 })));
    await settled();
    const { peer, closed } = aPeer();
    dials[0]!.resolve(peer);
    await settled();
    clock.advance(499);
    await settled();
    expect(closed).toEqual([]);
    clock.advance(1);
    await settled();
    expect(closed).toEqual(['unanswered']);
    orders.gone(peer, 'unanswered');
    expect(await result).toMatchObject({ data: { failure: 'unanswered' } });
    expect(told).toEqual([]);
  });

  it('because it was superseded closes the connection that it gets meanwhile', async () => {
    const result = errorOf(orders.dial(order()));
    await settled();
    void orders.hangup(order());
    const { peer, closed } = aPeer();
    dials[0]!.resolve(peer);
    await settled();
    expect([closed, orders.sockets]).toEqual([['unanswered'], 1]);
    orders.gone(peer, 'unanswered');
    expect(await result).toMatchObject({ message: 'a later order ended it', data: { why: 'superseded' } });
    expect([orders.sockets, told]).toEqual([0, []]);
  });
});
