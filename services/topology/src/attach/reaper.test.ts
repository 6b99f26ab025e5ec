import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { runNow } from '@spanmesh/runtime/grpc/slices';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { describe, expect, it } from 'vitest';
import type { State } from '../trees/state.ts';
import type { Deathwatch } from './deathwatch.ts';
import { Graves } from './graves.ts';
import { Reaper } from './reaper.ts';
import { Roster } from './roster.ts';

// Written once more: a change of them must be noticed.
const MAX_DEAD_SHOWN = 256;

const id = (name: string, boot = 1) => `${name}.${boot.toString(16).padStart(8, '0')}`;

/** A reaper that finds the gateways in `dying` dead. */
function rig() {
  const clock = new FakeClock();
  const dying = new Set<string>();
  const trunks = new Set<string>();
  const living = new Set<string>();
  const told: string[] = [];
  const log: Record<string, unknown>[] = [];
  const entries: { name: string; boot: string }[] = [];
  const roster = new Roster({ clock });
  const graves = new Graves();
  const reaper = new Reaper({
    roster,
    graves,
    deathwatch: {
      isDead: ({ id }: { id: string }) => dying.has(id),
      showsLife: (id: string) => living.has(id),
    } as unknown as Deathwatch,
    state: {
      gateways: new Map(),
      hasTrunk: (id: string) => trunks.has(id),
      forgetWaiting: (id: string) => told.push(`nothing waits for ${id}`),
    } as unknown as State,
    presence: {
      gateways: () => entries as never,
      remove: (name, boot) => told.push(`no entry of ${name} ${boot}`),
    },
    members: { gatewayDead: (id, silentMs) => told.push(`${id} dead after ${silentMs}`) },
    clock,
    logger: createLogger({
      level: 'info',
      service: 'test',
      destination: { write: (line: string) => void log.push(JSON.parse(line)) },
    }),
    gone: (id) => told.push(`${id} gone`),
  });
  const shown = () => [...reaper.dead()].map((one) => one.id);
  return { clock, dying, trunks, living, told, log, entries, roster, graves, reaper, shown };
}

describe('a gateway that is found dead', () => {
  it('is removed, reported, and shown until a gateway of its name is back', () => {
    const { clock, dying, told, log, roster, graves, reaper, shown } = rig();
    roster.heard(id('a'));
    clock.advance(7000.4);
    runNow(reaper.reaping());
    expect([reaper.isWaiting, reaper.declared, told]).toEqual([true, 0, []]);
    dying.add(id('a'));
    runNow(reaper.reaping());
    expect(told).toEqual([
      `${id('a')} dead after 7000.4`,
      `nothing waits for ${id('a')}`,
      `${id('a')} gone`,
      'no entry of a 00000001',
    ]);
    expect(log).toMatchObject([{ msg: 'gateway is dead', gateway: id('a'), silentMs: 7000 }]);
    expect([graves.has(id('a')), roster.size, reaper.isWaiting, reaper.declared]).toEqual([true, 0, false, 1]);
    expect([...reaper.dead()]).toEqual([{ id: id('a'), since: 0 }]);
    runNow(reaper.reaping());
    expect(reaper.declared).toBe(1);
    reaper.isBack('a');
    expect(shown()).toEqual([]);
  });

  it('is not removed while another gateway has a trunk to it', () => {
    const { dying, trunks, roster, reaper, shown } = rig();
    roster.heard(id('a'));
    dying.add(id('a'));
    trunks.add(id('a'));
    runNow(reaper.reaping());
    expect([shown(), reaper.isWaiting]).toEqual([[], true]);
    trunks.clear();
    runNow(reaper.reaping());
    expect(shown()).toEqual([id('a')]);
  });

  it('is shown once for each name, the last one to die', () => {
    const { dying, roster, reaper, shown } = rig();
    for (const one of [id('a'), id('b'), id('a', 2)]) {
      roster.heard(one);
      dying.add(one);
      runNow(reaper.reaping());
    }
    expect([shown(), reaper.declared]).toEqual([[id('b'), id('a', 2)], 3]);
  });

  // Limits: attach/reaper.ts MAX_DEAD_SHOWN
  it('is shown with a limited number of others, the newest ones', () => {
    const { dying, roster, reaper, shown } = rig();
    const names = Array.from({ length: MAX_DEAD_SHOWN + 1 }, (_, i) => `g${i}`);
    for (const [i, name] of names.entries()) {
      roster.heard(id(name));
      dying.add(id(name));
      runNow(reaper.reaping());
      if (i === MAX_DEAD_SHOWN - 1) expect(shown()).toHaveLength(MAX_DEAD_SHOWN);
    }
    expect([shown().length, shown()[0]]).toEqual([MAX_DEAD_SHOWN, id('g1')]);
  });

  it('is forgotten at the end of the term, and may attach then', () => {
    const { roster, graves, reaper, shown, dying } = rig();
    roster.heard(id('a'));
    dying.add(id('a'));
    runNow(reaper.reaping());
    roster.heard(id('b'));
    reaper.clear();
    expect([shown(), graves.has(id('a')), roster.size]).toEqual([[], false, 0]);
  });
});

describe('a gateway that another one names', () => {
  it('is awaited, unless it is dead or its name is invalid', () => {
    const { roster, reaper, graves } = rig();
    graves.add(id('dead'));
    for (const one of [id('a'), id('dead'), 'nonsense', 'A.1']) runNow(reaper.hearing(one));
    expect([...roster.silent()].map((one) => one.id)).toEqual([id('a')]);
  });

  it('is on the roster when it is in the registry; the entry of a dead one is removed again', () => {
    const { roster, reaper, graves, entries, told } = rig();
    graves.add(id('dead'));
    entries.push({ name: 'a', boot: '00000001' }, { name: 'dead', boot: '00000001' });
    runNow(reaper.registering());
    expect([[...roster.silent()].map((one) => one.id), told]).toEqual([[id('a')], ['no entry of dead 00000001']]);
  });
});
