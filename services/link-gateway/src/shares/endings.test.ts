import type { Job } from '@spanmesh/runtime/grpc/slices';
import { describe, expect, it } from 'vitest';
import { Endings } from './endings.ts';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Endings that do ten units a turn, and a record of the units done, in order. */
function endings() {
  const said: string[] = [];
  const failed: unknown[] = [];
  const all = new Endings({ perTurn: 10 }, { failed: (error) => failed.push(error) });
  function* ending(name: string, units: number, each = 1): Job<void> {
    for (let i = 0; i < units; i += each) {
      said.push(name);
      yield each;
    }
    said.push(`${name} is over`);
  }
  return { all, said, failed, ending };
}

describe('an ending', () => {
  it('is done at once up to the limit of a turn, for all principals together', async () => {
    const { all, said, ending } = endings();
    all.run('a', ending('one', 4, 2));
    all.run('b', ending('two', 4, 2));
    expect(said).toEqual(['one', 'one', 'one is over', 'two', 'two', 'two is over']);
    all.run('a', ending('three', 4, 2));
    expect(said.slice(6)).toEqual([]);
    expect(all.size).toBe(1);
    await nextTurn();
    expect(said.slice(6)).toEqual(['three', 'three', 'three is over']);
    await nextTurn();
    expect(all.size).toBe(0);
  });

  it('has all units of a turn at once, and again in the next turn', async () => {
    const { all, said, ending } = endings();
    for (let turn = 0; turn < 2; turn++) {
      all.run('a', ending('nine', 9));
      expect([said.splice(0).length, all.size]).toEqual([10, 0]);
      all.run('a', ending('one more', 1));
      expect([said, all.size]).toEqual([[], 1]);
      await nextTurn();
      await nextTurn();
      expect([said.splice(0), all.size]).toEqual([['one more', 'one more is over'], 0]);
    }
  });

  // Limits: shares/limits.ts ENDED_PER_TURN
  it('goes on with a bounded number of units a turn', async () => {
    const { all, said, ending } = endings();
    all.run('a', ending('long', 100));
    let most = said.length;
    for (let before = said.length; all.size > 0; before = said.length) {
      await nextTurn();
      most = Math.max(most, said.length - before);
    }
    expect(said.filter((one) => one === 'long')).toHaveLength(100);
    expect(most).toBe(10);
  });

  it('of a principal that loses little does not wait for all of one that loses much', async () => {
    const { all, said, ending } = endings();
    for (let i = 0; i < 5; i++) all.run('much', ending('much', 100));
    all.run('little', ending('little', 3));
    while (!said.includes('little is over')) await nextTurn();
    expect(said.filter((one) => one === 'much').length).toBeLessThanOrEqual(20);
  });

  it('may begin further endings, in turns of the same length', async () => {
    const { all, said, ending } = endings();
    function* outer(): Job<void> {
      for (let i = 0; i < 3; i++) {
        all.run('a', ending(`inner ${i}`, 15, 5));
        yield 5;
      }
    }
    all.run('a', outer());
    let most = 0;
    let idle = false;
    all.whenIdle(() => {
      idle = true;
    });
    for (let before = said.length; !idle; before = said.length) {
      await nextTurn();
      most = Math.max(most, said.length - before);
    }
    expect(said.filter((one) => one.endsWith('is over'))).toHaveLength(3);
    expect(most).toBeLessThanOrEqual(2 * 4);
  });

  it('that throws does not keep others from being done', async () => {
    const { all, said, failed, ending } = endings();
    const error = new Error('no');
    function* broken(): Job<void> {
      yield 20;
      throw error;
    }
    all.run('a', broken());
    all.run('b', ending('other', 3));
    await new Promise<void>((resolve) => all.whenIdle(resolve));
    expect(failed).toEqual([error]);
    expect(said.at(-1)).toBe('other is over');
    expect(all.size).toBe(0);
  });
});
