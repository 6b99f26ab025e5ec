import { describe, expect, it } from 'vitest';
import { DialQueue } from './dial-queue.ts';
import { Target } from './target.ts';

function target(principal: string, n = 0): Target {
  const made = new Target(`${principal}/${n}`, 'label', 0);
  made.principal = principal;
  return made;
}

/** Begins as many attempts as are allowed, and returns their owners. */
function begun(queue: DialQueue): string[] {
  const owners: string[] = [];
  for (let next = queue.next; next !== undefined; next = queue.next) {
    owners.push(next.owner);
    queue.begin(next);
  }
  return owners;
}

const EMPTY = { due: 0, principalsThatWait: 0, principalsUnderWay: 0, dialling: 0 };

describe('targets whose attempt is due', () => {
  it('take turns by principal, each principal’s oldest first', () => {
    const queue = new DialQueue({ max: 100 });
    for (const one of [target('a', 1), target('a', 2), target('a', 3), target('b', 1), target('b', 2)]) queue.add(one);
    expect([...queue].map(({ owner }) => owner)).toEqual(['a/1', 'a/2', 'a/3', 'b/1', 'b/2']);
    expect(begun(queue)).toEqual(['a/1', 'b/1', 'a/2', 'b/2', 'a/3']);
  });

  it('are limited in number, and one more begins when one has ended', () => {
    const queue = new DialQueue({ max: 3 });
    for (let n = 0; n < 5; n++) queue.add(target('a', n));
    expect(begun(queue)).toHaveLength(3);
    expect([queue.dialling, queue.size]).toEqual([3, 2]);
    queue.end('a');
    expect(begun(queue)).toEqual(['a/3']);
    for (let n = 0; n < 3; n++) queue.end('a');
    expect(begun(queue)).toEqual(['a/4']);
    queue.end('a');
    expect(queue.tables()).toEqual(EMPTY);
  });

  it('leave a sixteenth of the attempts to principals that have none under way', () => {
    const queue = new DialQueue({ max: 32 });
    for (let n = 0; n < 40; n++) queue.add(target('greedy', n));
    expect(begun(queue)).toHaveLength(30);
    queue.add(target('b'));
    queue.add(target('b', 1));
    queue.add(target('c'));
    queue.add(target('d'));
    expect(begun(queue)).toEqual(['b/0', 'c/0']);
    // One attempt of b has ended, so one more may begin: it is d's turn, not b's again.
    queue.add(target('greedy', 99));
    queue.end('b');
    queue.add(target('b', 2));
    expect(begun(queue)).toEqual(['d/0']);
    // The reserved part is available to all again when fewer attempts are under way.
    for (let n = 0; n < 3; n++) queue.end('greedy');
    expect(queue.next).toBeDefined();
  });

  it('leave it to nobody who has had two under way and still has one', () => {
    const queue = new DialQueue({ max: 32 });
    for (const n of [1, 2, 3]) queue.add(target('b', n));
    for (let n = 0; n < 40; n++) queue.add(target('greedy', n));
    expect(begun(queue).filter((owner) => owner.startsWith('b'))).toEqual(['b/1', 'b/2', 'b/3']);
    queue.end('b');
    queue.end('b');
    expect(begun(queue)).toHaveLength(2);
    queue.add(target('b', 4));
    expect(queue.next).toBeUndefined();
    queue.end('b');
    expect(begun(queue)).toEqual(['greedy/29', 'b/4']);
  });

  it('count once, however often they are added, and are gone when they are taken away', () => {
    const queue = new DialQueue({ max: 1 });
    const [one, two] = [target('a', 1), target('a', 2)];
    queue.add(one);
    queue.add(one);
    queue.add(two);
    expect(queue.tables()).toEqual({ ...EMPTY, due: 2, principalsThatWait: 1 });
    queue.delete(one);
    queue.delete(one);
    expect(queue.next).toBe(two);
    queue.delete(two);
    expect(queue.tables()).toEqual(EMPTY);
    queue.add(one);
    const turn = queue.begin(one);
    // The target's principal may change before its attempt ends.
    one.principal = 'b';
    expect(queue.tables()).toEqual({ ...EMPTY, principalsUnderWay: 1, dialling: 1 });
    queue.end(turn);
    expect(queue.tables()).toEqual(EMPTY);
  });

  it('are forgotten together; attempts under way continue', () => {
    const queue = new DialQueue({ max: 2 });
    for (const one of [target('a', 1), target('a', 2), target('b')]) queue.add(one);
    queue.begin(queue.next!);
    queue.clear();
    expect([queue.size, queue.next, queue.dialling]).toEqual([0, undefined, 1]);
  });
});
