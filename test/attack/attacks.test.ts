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
const limited = { ...ATTACKS[0]!, stop: { kind: 'limited' as const, resource: 'links' } };
const ordered = { ...ATTACKS[0]!, stop: { kind: 'ordered' as const, method: 'Topology/DrainGateway' } };
const absorbed = { ...ATTACKS[0]!, stop: { kind: 'absorbed' as const, because: 'it is' } };
const HE = addressesOf({ number: 1 }).plain;
const LINE = '{"peer":"127.66.0.1:4711","reason":"silent"}';

function seen(some: Partial<Seen> = {}): Seen {
  const quiet = { slowestSpan: 10, memory: 2 ** 28, faults: [], events: [], atLimits: [] };
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

  it('take nothing from anybody, where nobody is named, for a reason that is said', () => {
    for (const { stop } of ATTACKS) if (stop.kind === 'absorbed') expect(stop.because).toMatch(/^.{30,140}$/);
  });

  it('come from addresses of their own', () => expect(ATTACKS.length).toBeLessThan(255));
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

  it('must be told in three places if it is a limit', () => {
    const his = [{ principal: HE, of: 'links' }];
    const lines = [`{"resource":"links","principal":"${HE}"}`];
    expect(failures(limited, seen({ lines, events: his, atLimits: his }))).toEqual([]);
    const others = [
      { principal: HE, of: 'relays' },
      { principal: '127.66.0.11', of: 'links' },
    ];
    expect(failures(limited, seen({ events: others, atLimits: others }))).toHaveLength(3);
  });

  it('must be an event if it is an order', () => {
    expect(failures(ordered, seen()).join()).toMatch(/no event about Topology.DrainGateway names him/);
    const events = [{ principal: HE, of: 'Topology/DrainGateway' }];
    expect(failures(ordered, seen({ events }))).toEqual([]);
  });

  it('must be no limit if nothing is taken', () => {
    expect(failures(absorbed, seen({ atLimits: [{ principal: '127.0.0.1', of: 'links' }] }))).toEqual([]);
    expect(failures(absorbed, seen({ atLimits: [{ principal: HE, of: 'links' }] })).join()).toMatch(
      /at a limit: links/,
    );
  });

  it('is not settled by turns in which the honest are slower, or faster, than is possible', () => {
    expect(isUnsettled([turn(90)])).toBe(false);
    expect(isUnsettled([turn(79)])).toBe(true);
    expect(isUnsettled([turn(130)])).toBe(true);
    expect(isUnsettled([turn(79), turn(95), turn(90)])).toBe(false);
  });
});
