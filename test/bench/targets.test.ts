import { describe, expect, it } from 'vitest';
import { isReached, showTarget, targetOf } from './targets.ts';

describe('a target', () => {
  it.each([
    ['routing', 'circuit 1 × no aux', { ofFloor: 0.6, ofDaemon: 1 }],
    ['routing', 'linkid 1 × no aux', { ofFloor: 0.6, ofDaemon: 1 }],
    ['trunk', 'circuit 16 × 64 KiB', { ofFloor: 0.4, p99Us: 10_000 }],
    ['convergence', 'linkid 2,000 × 64', { ofDaemon: 5 }],
    ['cipher', 'opened, 64 bytes at once', { value: 100 }],
    ['encrypted', 'circuit 16 × 4 KiB, a core', { ofFloor: 0.7 }],
    ['process', 'a relay', { value: 0.4 }],
  ])('of %s, %s', (bench, row, target) => {
    expect(targetOf(bench, row)).toEqual(target);
  });

  it.each([
    ['trunk-tls', 'circuit 1 × no aux'],
    ['routing', 'circuit 2 × no aux'],
    ['trunk', 'circuit 16 × 4 KiB'],
    ['cipher', 'circuit sealed, 64 bytes at once'],
    ['process', 'circuit a relay'],
    ['console', 'first view'],
  ])('was not set for %s, %s', (bench, row) => {
    expect(targetOf(bench, row)).toBeUndefined();
  });

  it.each([
    [{}, false, ''],
    [{ ofFloor: 0.6, ofDaemon: 1 }, false, '1 × daemon, 0.6 of floor'],
    [{ value: 100 }, false, '≥ 100'],
    [{ value: 0.4 }, true, '≤ 0.4'],
    [{ ofFloor: 0.4, p99Us: 10_000 }, false, '0.4 of floor, p99 ≤ 10 ms'],
    [{ ofDaemon: 2, ofFloor: 0.5, value: 7, p99Us: 500 }, true, '2 × daemon, 0.5 of floor, ≤ 7, p99 ≤ 0.5 ms'],
  ])('%j is shown in few words (less is better: %s)', (target, isLessBetter, words) => {
    expect(showTarget(target, isLessBetter)).toBe(words);
  });
});

describe('what was measured', () => {
  it.each([
    // Just enough, and just not.
    [{ ofFloor: 0.6 }, { value: 1, ofFloor: 0.6 }, false, true],
    [{ ofFloor: 0.6 }, { value: 1, ofFloor: 0.59 }, false, false],
    [{ ofDaemon: 2 }, { value: 1, ofDaemon: 2 }, false, true],
    [{ ofDaemon: 2 }, { value: 1, ofDaemon: 1.99 }, false, false],
    [{ p99Us: 100 }, { value: 1, p99Us: 100 }, false, true],
    [{ p99Us: 100 }, { value: 1, p99Us: 101 }, false, false],
    [{ value: 5 }, { value: 5 }, false, true],
    [{ value: 5 }, { value: 4.9 }, false, false],
    [{ value: 5 }, { value: 5 }, true, true],
    [{ value: 5 }, { value: 4.9 }, true, true],
    [{ value: 5 }, { value: 5.1 }, true, false],
    // All of it is wanted.
    [{ ofFloor: 0.6, ofDaemon: 1 }, { value: 1, ofFloor: 0.7, ofDaemon: 0.9 }, false, false],
    [{ ofFloor: 0.6, p99Us: 100 }, { value: 1, ofFloor: 0.5, p99Us: 50 }, false, false],
    [
      { ofFloor: 0.6, ofDaemon: 1, value: 2, p99Us: 100 },
      { value: 2, ofFloor: 0.6, ofDaemon: 1, p99Us: 9 },
      false,
      true,
    ],
    [{}, { value: 0 }, false, true],
    // Where something is missing the rest can only say no.
    [{ ofFloor: 0.6, ofDaemon: 1 }, { value: 1, ofDaemon: 1.1 }, false, null],
    [{ ofFloor: 0.6, ofDaemon: 1 }, { value: 1, ofDaemon: 0.9 }, false, false],
    [{ ofFloor: 0.4, p99Us: 100 }, { value: 1, ofFloor: 0.5 }, false, null],
    [{ ofDaemon: 1 }, { value: 1, ofDaemon: undefined }, false, null],
  ] as const)('%j by %j (less is better: %s): %s', (target, reached, isLessBetter, expected) => {
    expect(isReached(target, reached, isLessBetter)).toBe(expected);
  });
});
