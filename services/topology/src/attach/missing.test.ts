import { ProcessKind } from '@spanmesh/proto/v1/topology';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import type { Missed } from '@spanmesh/runtime/gateways/signs-of-life';
import { describe, expect, it } from 'vitest';
import { missingProcesses } from './missing.ts';

// Written once more: a change of them must be noticed.
const MAX_MISSING = 256;

const GATEWAY = ProcessKind.PROCESS_KIND_LINK_GATEWAY;

/** The missing processes at 10 s, given the silent, dead and missed ones. */
function missing({ silent = [] as string[], dead = [] as string[], missed = [] as Missed[], inTerm = true } = {}) {
  const clock = new FakeClock();
  clock.advance(10_000);
  return missingProcesses({
    roster: { silent: () => silent.map((id) => ({ id, name: '', boot: '', since: 1000, silentSince: 3000 })) },
    reaper: { dead: () => dead.map((id) => ({ id, since: 2000 })) },
    presence: { missed: () => missed },
    clock,
    inTerm,
  });
}

const gone = (kind: Missed['kind'], name: string): Missed => ({ kind, id: `id of ${name}`, name, since: 4000 });

describe('a missing process', () => {
  it('is, at the leader, a gateway without a stream, dead or not, and for how long it has been silent', () => {
    expect(missing({ silent: ['b.00000001'], dead: ['a.00000001'] })).toEqual([
      { kind: GATEWAY, id: 'a.00000001', name: 'a', missingMs: 8000, dead: true },
      { kind: GATEWAY, id: 'b.00000001', name: 'b', missingMs: 7000, dead: false },
    ]);
  });

  it('is any other process that gives no sign of life, by kind and name', () => {
    const missed = [
      gone('volconf', 'v:1'),
      gone('topology', 't:2'),
      gone('topology', 't:1'),
      gone('link-gateway', 'x'),
    ];
    expect(missing({ missed }).map(({ kind, name, missingMs }) => [kind, name, missingMs])).toEqual([
      [ProcessKind.PROCESS_KIND_TOPOLOGY, 't:1', 6000],
      [ProcessKind.PROCESS_KIND_TOPOLOGY, 't:2', 6000],
      [ProcessKind.PROCESS_KIND_VOLCONF, 'v:1', 6000],
    ]);
  });

  it('is, where there is no leader, a gateway that gives no sign of life', () => {
    const missed = [gone('link-gateway', 'x')];
    expect(missing({ silent: ['b.00000001'], dead: ['a.00000001'], missed, inTerm: false })).toEqual([
      { kind: GATEWAY, id: 'id of x', name: 'x', missingMs: 6000, dead: false },
    ]);
  });

  // Limits: attach/missing.ts MAX_MISSING
  it('is shown up to a limited number', () => {
    const silent = (count: number) => Array.from({ length: count }, (_, i) => `g${1000 + i}.00000001`);
    expect(missing({ silent: silent(MAX_MISSING) })).toHaveLength(MAX_MISSING);
    const shown = missing({ silent: silent(MAX_MISSING + 1) });
    expect([shown.length, shown.at(-1)?.name]).toEqual([MAX_MISSING, `g${1000 + MAX_MISSING - 1}`]);
  });
});
