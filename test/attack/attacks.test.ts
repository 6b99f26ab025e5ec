import { describe, expect, it } from 'vitest';
import { ATTACKS } from './attacks.ts';
import { addressesOf } from './target.ts';
import { failures, isUnsettled, MEMORY, type Seen, type Turns } from './verdict.ts';

const rate = (trips: number, calls = trips) => ({ trips, calls });
const turn = (attacked: number, alone = 100): Turns => ({ attacked: rate(attacked), alone: rate(alone) });
const refused = {
  ...ATTACKS[0]!,
  stop: { kind: 'refused' as const, says: 'silent' },
};
const counted = { ...ATTACKS[0]!, stop: { kind: 'counted' as const, metric: 'spanmesh_x_total' } };
const LINE = '{"peer":"127.66.0.1:4711","reason":"silent"}';

function seen(some: Partial<Seen> = {}): Seen {
  const quiet = { slowestSpan: 10, memory: 2 ** 28, faults: [], risen: new Map<string, number>() };
  return { ...quiet, turns: [turn(90)], lines: [LINE], names: [addressesOf({ number: 1 }).plain], ...some };
}

describe('the attacks', () => {
  it('are at least 30, each with its own name and a description', () => {
    expect(ATTACKS.length).toBeGreaterThanOrEqual(30);
    expect(new Set(ATTACKS.map(({ name }) => name)).size).toBe(ATTACKS.length);
    expect(new Set(ATTACKS.map(({ about }) => about)).size).toBe(ATTACKS.length);
    for (const { name, about } of ATTACKS) {
      expect(name).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect(about).toMatch(/^.{10,120}$/);
    }
  });

  it('have numbers that fit into an address', () => expect(ATTACKS.length).toBeLessThan(255));
});

describe('the verdict on an attack', () => {
  it('is good when the honest keep their rates and the log names the attacker', () => {
    expect(failures(refused, seen())).toEqual([]);
  });

  it.each([
    ['the honest are slowed', { turns: [turn(70), turn(95), turn(75)] }, /trips kept 75 %/],
    ['nothing is measured', { turns: [turn(0, 0)] }, /kept NaN/],
    ['a new span waits', { slowestSpan: 1_200 }, /1200 ms/],
    ['memory is more than documented', { memory: MEMORY + 1 }, /2048 MiB/],
    ['something happens to the honest', { faults: ['honest 15: the connection has ended'] }, /honest 15/],
    ['nobody is named', { lines: [] }, /no line/],
    ['somebody else is named', { lines: [LINE.replace('0.1:', '0.11:')] }, /no line/],
    ['he is named for something else', { lines: [LINE.replace('silent', 'half-dead')] }, /no line/],
  ])('is bad when %s', (_, what, why) => {
    expect(failures(refused, seen(what)).join()).toMatch(why);
  });

  it('may rest on a metric that rises', () => {
    expect(failures(counted, seen()).join()).toMatch(/has not risen/);
    expect(failures(counted, seen({ risen: new Map([['spanmesh_x_total{reason="a"}', 3]]) }))).toEqual([]);
  });

  it('is not settled by turns in which the honest are slower, or faster, than is possible', () => {
    expect(isUnsettled([turn(90)])).toBe(false);
    expect(isUnsettled([turn(79)])).toBe(true);
    expect(isUnsettled([turn(130)])).toBe(true);
    expect(isUnsettled([turn(79), turn(95), turn(90)])).toBe(false);
  });
});
