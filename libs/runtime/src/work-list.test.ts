import { describe, expect, it } from 'vitest';
import type { Job } from './grpc/slices.ts';
import { WorkList } from './work-list.ts';

/** A list whose turns the test controls, and the events in their order. */
function list(perTurn = 10) {
  const said: string[] = [];
  const turns: (() => void)[] = [];
  const work = new WorkList(
    { perTurn },
    {
      later: (turn) => turns.push(turn),
      onTurn: () => said.push('turn'),
      onIdle: () => said.push('idle'),
    },
  );
  function* steps(name: string, count: number): Job<void> {
    try {
      for (let i = 0; i < count; i++) {
        said.push(name);
        yield 5;
      }
    } finally {
      said.push(`${name} is over`);
    }
  }
  return { work, said, turns, steps, turn: () => turns.shift()?.() };
}

describe('short work', () => {
  it('is done at once, and reports nothing', () => {
    const { work, said, steps } = list();
    work.run(steps('a', 1));
    work.do(() => said.push('b'));
    expect(said).toEqual(['a', 'a is over', 'b']);
    expect([work.isBusy, work.size]).toEqual([false, 0]);
  });

  it('is one unit', () => {
    const { work } = list();
    expect(work.most).toBe(0);
    work.do(() => {});
    expect(work.most).toBe(1);
  });

  it('calls those that wait until it is done once', () => {
    const { work, said } = list();
    for (let n = 0; n < 2; n++) work.do(() => n === 0 && work.whenIdle(() => said.push('whole')));
    expect(said).toEqual(['whole']);
  });

  it('waits for the work requested before it', () => {
    const { work, said } = list();
    work.do(() => {
      work.do(() => said.push('second'));
      said.push('first');
    });
    expect(said).toEqual(['first', 'second']);
  });

  it('may fail: its caller gets the error, and other work is done', () => {
    const { work, said } = list();
    expect(() =>
      work.do(() => {
        work.do(() => said.push('rest'));
        throw new Error('no');
      }),
    ).toThrow('no');
    expect([work.isBusy, work.size]).toEqual([true, 1]);
  });
});

describe('long work', () => {
  it('is done in turns of a limited number of units, and later work waits in order', () => {
    const { work, said, steps, turn } = list();
    work.run(steps('long', 5));
    work.do(() => said.push('short'));
    work.run(steps('other', 0));
    work.whenIdle(() => said.push('whole'));
    expect(said).toEqual(['long', 'long', 'turn']);
    expect([work.isBusy, work.size]).toEqual([true, 3]);
    turn();
    expect(said.slice(3)).toEqual(['long', 'long', 'turn']);
    turn();
    expect(said.slice(6)).toEqual(['long', 'long is over', 'short', 'other is over', 'whole', 'idle']);
    expect([work.isBusy, work.most]).toEqual([false, 10]);
    turn();
    work.whenIdle(() => said.push('at once'));
    expect(said.at(-1)).toBe('at once');
  });

  it('is under way between its turns, and nobody need wait besides', () => {
    const { work, steps, turn } = list();
    work.run(steps('long', 2));
    expect([work.isBusy, work.size]).toEqual([true, 1]);
    turn();
    expect([work.isBusy, work.size]).toEqual([false, 0]);
  });

  it('that gives up all other work goes on, and is then the only one', () => {
    const { work, said, steps, turn, turns } = list();
    function* clearing(): Job<void> {
      work.clear();
      said.push(`busy ${work.isBusy}, ${work.size} left`);
      yield 10;
      said.push('goes on');
      work.do(() => said.push('later'));
      yield 10;
    }
    work.run(steps('long', 3));
    work.run(clearing());
    work.run(steps('other', 1));
    work.whenIdle(() => said.push('whole'));
    turn();
    expect(said.slice(3)).toEqual(['long', 'long is over', 'busy true, 1 left', 'turn']);
    turn();
    turn();
    expect(said.slice(7)).toEqual(['goes on', 'turn', 'later', 'whole', 'idle']);
    expect([work.isBusy, work.size, turns.length]).toEqual([false, 0, 0]);
  });

  it('is given up half done, with the work that waits, and leaves nothing', () => {
    const { work, said, steps, turn, turns } = list();
    work.do(() => {
      work.run(steps('long', 5));
      work.run(steps('other', 1));
      said.push('done');
    });
    expect(said).toEqual(['done', 'long', 'long', 'turn']);
    work.clear();
    expect(said.slice(4)).toEqual(['long is over', 'idle']);
    expect([work.isBusy, work.size]).toEqual([false, 0]);
    work.run(steps('next', 1));
    while (turns.length > 0) turn();
    expect(said.slice(6)).toEqual(['next', 'next is over']);
    expect([work.isBusy, work.size]).toEqual([false, 0]);
  });
});
