import { describe, expect, it } from 'vitest';
import { planRound, processesOf, sizesOf } from './plan.ts';

describe('the plan of a round', () => {
  it('depends on seed and number alone', () => {
    expect(planRound(7, 3, sizesOf(7))).toEqual(planRound(7, 3, sizesOf(7)));
    expect(planRound(7, 3, sizesOf(7))).not.toEqual(planRound(7, 4, sizesOf(7)));
  });

  it('has every kind of fault, and some for each process', () => {
    const kinds = new Set<string>();
    const processes = new Set<string>();
    for (let seed = 1; seed < 400; seed++) {
      for (const { fault } of planRound(seed, 0, sizesOf(seed))) {
        kinds.add(fault.kind);
        if ('process' in fault) processes.add(fault.process);
      }
    }
    expect([...kinds].sort()).toMatchInlineSnapshot(`
      [
        "cut",
        "drain",
        "jump",
        "kill",
        "leave",
        "one-way",
        "pause",
        "peer-silent",
        "peer-slow",
        "power",
        "refuse",
        "reset",
        "reset-way",
        "silent",
        "slow",
        "stop",
        "store-away",
        "store-leaderless",
        "store-rolled-back",
        "store-slow",
        "store-wiped",
        "two-step",
        "unheard",
        "withdraw",
      ]
    `);
    expect([...processes].sort()).toEqual(processesOf(sizesOf(1)).sort());
  });

  it('has no fault of the store in an installation without one', () => {
    for (let seed = 4; seed < 400; seed += 4) {
      expect(JSON.stringify(planRound(seed, 0, sizesOf(seed)))).not.toContain('store');
    }
  });
});
