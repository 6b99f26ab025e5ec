import { describe, expect, it } from 'vitest';
import { Waiters } from './waiters.ts';

function rig() {
  const waiters = new Waiters();
  const told: string[] = [];
  const there = new Set<string>();
  /** Adds a waiter that waits under these keys until its name is in `there`. */
  const add = (name: string, ...keys: string[]) => {
    const waiter = {
      look: () => {
        told.push(`${name} looks`);
        return there.has(name);
      },
      fail: (details: string) => void told.push(`${name} fails: ${details}`),
    };
    waiters.add(waiter, keys);
    return waiter;
  };
  const left = () => [waiters.size, waiters.keys, waiters.touched];
  return { waiters, told, there, add, left };
}

describe('waiters', () => {
  it('look once a turn after a change for one of their keys, and wait until they find something', () => {
    const { waiters, told, there, add, left } = rig();
    add('a', 'x', 'y');
    add('b', 'y');
    add('c', 'z');
    waiters.flush();
    waiters.touch('nobody');
    for (const key of ['x', 'y', 'x']) waiters.touch(key);
    expect([told, left()]).toEqual([[], [3, 3, 2]]);
    there.add('b');
    waiters.flush();
    waiters.flush();
    expect([told.splice(0), left()]).toEqual([
      ['a looks', 'b looks'],
      [2, 3, 0],
    ]);
    there.add('a');
    waiters.touch('y');
    waiters.flush();
    expect([told, left()]).toEqual([['a looks'], [1, 1, 0]]);
  });

  it('leave nothing behind when they are removed, also in the middle of a turn', () => {
    const { waiters, told, add, left } = rig();
    const [a, b] = [add('a', 'x', 'y'), add('b', 'x')];
    waiters.touch('x');
    waiters.remove(a);
    waiters.remove(a);
    waiters.flush();
    expect([told, left()]).toEqual([['b looks'], [1, 1, 0]]);
    waiters.remove(b);
    expect(left()).toEqual([0, 0, 0]);
  });

  it('are ended together', () => {
    const { waiters, told, add, left } = rig();
    add('a', 'x');
    add('b', 'x');
    waiters.touch('x');
    waiters.failAll('it stops');
    waiters.flush();
    expect([told, left()]).toEqual([
      ['a fails: it stops', 'b fails: it stops'],
      [0, 0, 0],
    ]);
  });
});
