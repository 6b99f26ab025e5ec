import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { describe, expect, it } from 'vitest';
import { FileDescriptors } from './file-descriptors.ts';

function setUp({ limit, other }: { limit: number | null; other: number }) {
  const clock = new FakeClock();
  const made = { clock, sockets: 0, other, counts: 0 };
  const files = new FileDescriptors({
    clock,
    limit: () => limit,
    count: () => {
      made.counts++;
      return made.other + made.sockets;
    },
  });
  /** Admits `many` peers, or fewer if no descriptor is left; returns how many were admitted. */
  const letIn = (many: number) => {
    for (let i = 0; i < many && !files.isFull(made.sockets); i++) made.sockets++;
    return made.sockets;
  };
  return { made, files, letIn };
}

describe('file descriptors', () => {
  it('leave room for what is not a peer', () => {
    expect(setUp({ limit: 1024, other: 40 }).letIn(5000)).toBe(1024 - 64 - 40);
    expect(setUp({ limit: 100, other: 40 }).letIn(5000)).toBe(100 - 25 - 40);
  });

  it('are counted now and then, not for each peer', () => {
    const { made, letIn } = setUp({ limit: 1024, other: 40 });
    letIn(5000);
    expect(made.counts).toBe(1);
    made.other = 50;
    made.sockets -= 20;
    made.clock.advance(1000);
    expect(letIn(5000)).toBe(1024 - 64 - 50);
    expect(made.counts).toBe(2);
  });

  it('may also be used up by others than peers', () => {
    const { made, files } = setUp({ limit: 1024, other: 40 });
    expect(files.isFull(0)).toBe(false);
    made.other = 1000;
    made.clock.advance(10_000);
    expect(files.isFull(0)).toBe(true);
  });

  it('are those of this process unless the caller says otherwise', () => {
    const clock = new FakeClock();
    const files = new FileDescriptors({ clock });
    expect(files.isFull(0)).toBe(false);
    // More than any process may have.
    expect(files.isFull(2 ** 40)).toBe(true);
  });

  it('leave a quarter of few', () => {
    expect(setUp({ limit: 8, other: 2 }).letIn(10)).toBe(4);
  });

  it('that cannot be counted keep no peer out', () => {
    const files = new FileDescriptors({ clock: new FakeClock(), limit: () => 1024, count: () => null });
    expect([files.isFull(5), files.isFull(5 + 959), files.isFull(5 + 960)]).toEqual([false, false, true]);
  });

  it('keep no peer out where their limit is not known', () => {
    const { made, letIn } = setUp({ limit: null, other: 40 });
    expect(letIn(100_000)).toBe(100_000);
    expect(made.counts).toBe(0);
  });
});
