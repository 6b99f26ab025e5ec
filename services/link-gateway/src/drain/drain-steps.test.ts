import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { describe, expect, it } from 'vitest';
import { DRAIN_CLOSES_PER_SECOND, HURRIED_DRAIN_MS } from '../limits.ts';
import type { Peer } from '../peers/peer.ts';
import { Drain, graceOf, LOOK_MS } from './drain.ts';
import type { OrderlyClose } from './orderly-close.ts';

const STEP_MS = 20;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A peer whose connection has `awaited` transactions in progress. */
class FakePeer {
  readonly connection = {
    isOpen: true,
    peerEnded: false,
    endpoint: { awaited: 0 },
    abandoned: '',
    abandon: (reason: string) => {
      this.connection.abandoned = reason;
    },
  };

  readonly id: number;

  constructor(id: number) {
    this.id = id;
  }

  get peer(): Peer {
    return this as unknown as Peer;
  }
}

/** A drain of these many connections, the last of them `busy`. */
function drain(count: number, { busy = 0, deadlineMs = 10_000 } = {}) {
  const clock = new FakeClock();
  const peers = Array.from({ length: count }, (_, id) => new FakePeer(id));
  for (const { connection } of peers.slice(count - busy)) connection.endpoint.awaited = 1;
  const begun: number[] = [];
  const lingers: number[] = [];
  const ends: unknown[] = [];
  const begin: OrderlyClose['begin'] = (peer, { reason, why, lingerMs }) => {
    begun.push(peer.id);
    lingers.push(lingerMs);
    ends.push([reason, why]);
  };
  const options = { reason: 'drain', why: 'moved', deadlineMs } as const;
  const made = new Drain(
    peers.map(({ peer }) => peer),
    options,
    { clock, orderly: { begin } as OrderlyClose },
  );
  const state = { isDone: false };
  void made.done.then(() => {
    state.isDone = true;
  });
  const gone = (id: number, hasEnded = true) => {
    const one = peers[id];
    if (one === undefined) throw new Error('no such peer');
    one.connection.peerEnded = hasEnded;
    return made.gone(one.peer);
  };
  return { clock, peers, begun, lingers, ends, made, state, gone };
}

it('the grace is the deadline but for two seconds, or for half of it', () => {
  expect([10_000, 4_000, 2_000, 0].map(graceOf)).toEqual([8_000, 2_000, 1_000, 0]);
});

describe('a drain', () => {
  it('of no connections is done at once', async () => {
    const { made, state, clock } = drain(0);
    made.hurry();
    expect(clock.pending).toBe(0);
    made.start();
    await turn();
    expect([state.isDone, clock.pending, made.chosen]).toEqual([true, 0, 0]);
  });

  it('closes quiet connections in order, as many a step as the pace allows, and says what they are closed for', async () => {
    const perStep = (DRAIN_CLOSES_PER_SECOND * STEP_MS) / 1000;
    const { made, begun, clock, lingers, ends, gone, state } = drain(2 * perStep + 1);
    expect([made.chosen, made.busy, made.closed, made.cut]).toEqual([2 * perStep + 1, 0, 0, 0]);
    made.start();
    expect(begun).toEqual(Array.from({ length: perStep }, (_, n) => n));
    clock.advance(STEP_MS - 1);
    expect(begun).toHaveLength(perStep);
    clock.advance(1);
    expect(begun).toHaveLength(2 * perStep);
    clock.advance(STEP_MS);
    expect([begun.length, new Set(begun).size]).toEqual([made.chosen, made.chosen]);
    expect([lingers[0], lingers.at(-1)]).toEqual([10_000, 10_000 - 2 * STEP_MS]);
    expect(ends[0]).toEqual(['drain', 'moved']);
    // Nothing is left to be begun: only the deadline runs.
    expect(clock.pending).toBe(1);
    for (const id of begun.slice(1)) expect(gone(id)).toBe(true);
    await turn();
    expect([state.isDone, made.closed]).toEqual([false, made.chosen - 1]);
    expect(gone(0, false)).toBe(true);
    expect(gone(0)).toBe(false);
    await turn();
    expect([state.isDone, made.closed, made.cut, clock.pending]).toEqual([true, made.chosen - 1, 1, 0]);
    expect(made.tookMs).toBe(2 * STEP_MS);
  });

  it('closes more in a step if it could not be over in its grace otherwise', () => {
    // A second of grace, half of which is kept for busy ones: 25 steps.
    const { made, begun, clock } = drain(1000, { deadlineMs: 2000 });
    made.start();
    expect(begun).toHaveLength(40);
    clock.advance(24 * STEP_MS);
    expect(begun).toHaveLength(1000);
  });

  it('closes busy ones once their transactions have ended, which it looks for every LOOK_MS', () => {
    const { made, begun, clock, peers } = drain(3, { busy: 2 });
    expect(made.busy).toBe(2);
    made.start();
    expect([begun, made.busy]).toEqual([[0], 2]);
    for (const { connection } of peers.slice(1, 2)) connection.endpoint.awaited = 0;
    clock.advance(LOOK_MS - 1);
    expect(begun).toEqual([0]);
    clock.advance(1);
    expect([begun, made.busy]).toEqual([[0, 1], 1]);
    for (const { connection } of peers) connection.endpoint.awaited = 0;
    clock.advance(LOOK_MS - 1);
    expect(begun).toEqual([0, 1]);
    clock.advance(1);
    expect([begun, made.busy]).toEqual([[0, 1, 2], 0]);
  });

  it('passes over one that was quiet and is busy when its turn comes, and one that is gone', () => {
    const { made, begun, peers, gone, clock } = drain(3);
    for (const { connection } of peers.slice(0, 1)) connection.endpoint.awaited = 1;
    gone(1, false);
    expect([made.closed, made.cut]).toEqual([1, 0]);
    made.start();
    expect([begun, made.busy]).toEqual([[2], 1]);
    clock.advance(10_000);
    expect(begun).toEqual([2, 0]);
  });

  it('closes busy ones at the end of the grace, spread over the time before it', () => {
    const { made, begun, clock } = drain(100, { busy: 100 });
    // 100 connections take 200 ms of the grace of 8 s.
    made.start();
    clock.advance(8_000 - 200 - STEP_MS);
    expect(begun).toEqual([]);
    clock.advance(STEP_MS);
    expect(begun).toHaveLength(10);
    clock.advance(STEP_MS);
    expect(begun).toHaveLength(20);
    clock.advance(200 - 2 * STEP_MS);
    expect(begun).toHaveLength(100);
    expect(new Set(begun).size).toBe(100);
  });

  it('that is hurried closes all at once, and cuts off what is left HURRIED_DRAIN_MS later', async () => {
    const { made, begun, lingers, clock, peers, gone, state } = drain(50, { busy: 20 });
    made.start();
    clock.advance(STEP_MS);
    made.hurry();
    expect(begun).toHaveLength(50);
    expect(lingers.at(-1)).toBe(HURRIED_DRAIN_MS);
    clock.advance(HURRIED_DRAIN_MS - 1);
    expect(peers.every(({ connection }) => connection.abandoned === '')).toBe(true);
    gone(0);
    clock.advance(1);
    expect(peers.map(({ connection }) => connection.abandoned)).toEqual(['', ...Array(49).fill('drain')]);
    for (let id = 1; id < 50; id++) gone(id, false);
    await turn();
    expect([state.isDone, made.closed, made.cut, clock.pending]).toEqual([true, 1, 49, 0]);
  });

  it('that is hurried shortly before its deadline keeps that', () => {
    const { made, clock, peers } = drain(1, { busy: 1, deadlineMs: 1500 });
    made.start();
    clock.advance(1400);
    made.hurry();
    clock.advance(100);
    expect(peers[0]?.connection.abandoned).toBe('drain');
  });

  it('cuts off at its deadline what has not ended, and counts as cut off what was never begun', () => {
    const { made, clock, peers, begun, gone } = drain(2, { deadlineMs: 0 });
    for (const { connection } of peers) connection.isOpen = false;
    made.start();
    expect(begun).toHaveLength(2);
    clock.advance(0);
    expect(peers.map(({ connection }) => connection.abandoned)).toEqual(['drain', 'drain']);
    gone(0, false);
    expect([made.closed, made.cut]).toEqual([0, 1]);
  });

  it('counts as closed one that has left by itself before anything was begun with it', () => {
    const { made, gone, peers } = drain(2);
    for (const { connection } of peers) connection.isOpen = false;
    made.start();
    gone(0, false);
    expect([made.closed, made.cut]).toEqual([1, 0]);
  });
});
