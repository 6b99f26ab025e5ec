import { FakeClock } from '@spanmesh/runtime/fake-clock';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import { beforeEach, describe, expect, it } from 'vitest';
import { ANSWER_PATIENCE_MS } from '../limits.ts';
import type { Leaving, LnkConn, Peer } from '../peers/peer.ts';
import { OrderlyClose } from './orderly-close.ts';

const END = { reason: 'stopping', why: 'this gateway stops', lingerMs: 5000 } as const;

describe('a close in order', () => {
  let clock: FakeClock;
  /** What was done, in order. */
  let done: string[];
  let jobs: Job<void>[];
  let isOpen: boolean;
  let leaving: Leaving | null;
  let orderly: OrderlyClose;
  let peer: Peer;

  beforeEach(() => {
    clock = new FakeClock();
    done = [];
    jobs = [];
    isOpen = true;
    leaving = null;
    orderly = new OrderlyClose({
      clock,
      reports: { tell: (name, entry) => void done.push(`tell ${name} ${JSON.stringify(entry)}`) },
      relays: {
        *closingAllOn({ id }) {
          done.push(`relays of ${id}`);
          yield 2;
          return 3;
        },
      },
      lnkConns: {
        *ending({ id }) {
          done.push(`LNK_CONN ${id}`);
          yield 1;
        },
      },
      endings: {
        run: (principal, job) => {
          done.push(`for ${principal}`);
          jobs.push(job);
        },
      },
    });
    peer = {
      connection: {
        id: 7,
        principal: 'ann',
        get isOpen() {
          return isOpen;
        },
        finish: (ms: number) => void done.push(`FIN, ${ms} ms`),
      },
      lnkConns: new Set([{ id: 8 }, { id: 9 }] as LnkConn[]),
      get leaving() {
        return leaving;
      },
      leave: (now: Leaving) => {
        leaving = now;
        done.push('leaves');
      },
      endOwnLnkConn: () => void done.push('our LNK_CONN'),
    } as unknown as Peer;
  });

  it('tells topology, ends relays, then LNK_CONNs of the peer, then ours; FIN follows the answer', () => {
    orderly.begin(peer, END);
    const told = `tell connectionsClosing ${JSON.stringify({ id: 7, reason: END.why })}`;
    expect(done).toEqual([told, 'leaves', 'for ann']);
    expect(leaving).toMatchObject({ reason: 'stopping', why: END.why });
    clock.advance(1000);
    // A relay is one unit, and each slice is passed on.
    expect([...(jobs[0] ?? [])]).toEqual([2, 3, 2, 3, 1, 1]);
    expect(done.slice(3)).toEqual(['relays of 8', 'relays of 9', 'LNK_CONN 8', 'LNK_CONN 9', 'our LNK_CONN']);
    expect(clock.pending).toBe(1);
    clock.advance(ANSWER_PATIENCE_MS - 1);
    leaving?.answered();
    expect(done.at(-1)).toBe(`FIN, ${END.lingerMs - 1000 - ANSWER_PATIENCE_MS + 1} ms`);
    expect(clock.pending).toBe(0);
  });

  it('does not wait for an answer longer than ANSWER_PATIENCE_MS', () => {
    orderly.begin(peer, END);
    for (const _ of jobs[0] ?? []);
    clock.advance(ANSWER_PATIENCE_MS - 1);
    expect(done.at(-1)).toBe('our LNK_CONN');
    clock.advance(1);
    expect(done.at(-1)).toBe(`FIN, ${END.lingerMs - ANSWER_PATIENCE_MS} ms`);
  });

  it('nor longer than it may take at all', () => {
    orderly.begin(peer, { ...END, lingerMs: 10 });
    for (const _ of jobs[0] ?? []);
    clock.advance(9);
    expect(done.at(-1)).toBe('our LNK_CONN');
    clock.advance(1);
    expect(done.at(-1)).toBe('FIN, 0 ms');
    leaving?.answered();
    clock.advance(5);
    leaving?.answered();
    expect(done.at(-1)).toBe('FIN, 0 ms');
  });

  it('ends nothing more when the connection is lost meanwhile', () => {
    orderly.begin(peer, END);
    isOpen = false;
    for (const _ of jobs[0] ?? []);
    expect([done.at(-1), clock.pending]).toEqual(['LNK_CONN 9', 0]);
  });

  it('begins once', () => {
    orderly.begin(peer, END);
    const { length } = done;
    orderly.begin(peer, { ...END, reason: 'command' });
    expect([done.length, leaving?.reason, jobs.length]).toEqual([length, 'stopping', 1]);
  });

  it('is FIN alone if the dialect is not known yet', () => {
    isOpen = false;
    orderly.begin(peer, END);
    expect(done).toEqual(['FIN, 5000 ms']);
  });
});
