import { describe, expect, it } from 'vitest';
import { Turn } from './turn.ts';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('Turn', () => {
  it('flushes once at the end of the turn, however often it was requested', async () => {
    let flushes = 0;
    const turn = new Turn(() => flushes++);
    turn.request();
    turn.request();
    await Promise.resolve().then(() => turn.request());
    expect(flushes).toBe(0);
    await nextTurn();
    expect(flushes).toBe(1);
    await nextTurn();
    expect(flushes).toBe(1);
  });

  it('flushes again in the next turn when requested inside flush', async () => {
    let flushes = 0;
    const turn = new Turn(() => {
      if (++flushes < 3) {
        turn.request();
      }
    });
    turn.request();
    const seen: number[] = [];
    for (let i = 0; i < 4; i++) {
      await nextTurn();
      seen.push(flushes);
    }
    expect(seen).toEqual([1, 2, 3, 3]);
  });
});
