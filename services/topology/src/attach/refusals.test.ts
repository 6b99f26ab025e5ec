import { ProcessKind, RefusalCause } from '@spanmesh/proto/v1/topology';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { describe, expect, it } from 'vitest';
import { Refusals } from './refusals.ts';

// Written once more: a change of them must be noticed.
const MAX_REFUSALS = 64;
const REFUSAL_AGE_MS = 300_000;

const kind = ProcessKind.PROCESS_KIND_LINK_GATEWAY;
const cause = RefusalCause.REFUSAL_CAUSE_NAME_TAKEN;
const one = { kind, name: 'a.00000001', cause, details: 'Another one lives.' };

describe('refusals', () => {
  it('are counted, with the last cause, until the process is accepted', () => {
    const clock = new FakeClock();
    const refusals = new Refusals({ clock });
    refusals.note(one);
    clock.advance(1000);
    refusals.note({ ...one, cause: RefusalCause.REFUSAL_CAUSE_VERSION });
    clock.advance(50);
    const last = { ...one, cause: RefusalCause.REFUSAL_CAUSE_VERSION, ageMs: 50, times: 2 };
    expect(refusals.list()).toEqual([last]);
    refusals.taken(one);
    expect(refusals.list()).toEqual([]);
  });

  it('are forgotten when the process has not tried again for a while', () => {
    const clock = new FakeClock();
    const refusals = new Refusals({ clock });
    refusals.note(one);
    clock.advance(REFUSAL_AGE_MS);
    expect(refusals.list()).toEqual([]);
  });

  // Limits: attach/refusals.ts MAX_REFUSALS
  it('of more processes than are kept are those of the last ones', () => {
    const refusals = new Refusals({ clock: new FakeClock() });
    for (let i = 0; i <= MAX_REFUSALS; i++) refusals.note({ ...one, name: `g${i}` });
    const names = refusals.list().map(({ name }) => name);
    expect([names.length, names[0], names.at(-1)]).toEqual([MAX_REFUSALS, 'g1', `g${MAX_REFUSALS}`]);
  });
});
