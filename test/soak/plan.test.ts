import { describe, expect, it } from 'vitest';
import { type Fault, planRound, processesOf, type SoakSizes, showRound, showStep } from './plan.ts';
import { SETTINGS, type SettingName, settingsOf } from './settings.ts';

describe.each(settingsOf('all'))('The plan of a soak, setting %s', (name) => {
  const SIZES: SoakSizes = SETTINGS[name];
  const rounds = (seed: number) => Array.from({ length: 200 }, (_, round) => planRound(seed, round, SIZES));

  it('is the same for the same seed, and another for another', () => {
    expect(rounds(7)).toEqual(rounds(7));
    expect(rounds(7)).not.toEqual(rounds(8));
  });

  it('has every fault that a process can have, for every process', () => {
    const shown = rounds(7).flat().map(showStep).join('\n');
    for (const process of processesOf(SIZES)) {
      for (const kind of ['kill', 'stop', 'pause']) expect(shown).toContain(`: ${kind} ${process}`);
      for (const way of ['cut', 'silent']) expect(shown).toMatch(new RegExp(`: ${process} to .* ${way}`));
    }
    for (const kind of ['leave', 'reset', 'withdrawn', 'to everybody']) expect(shown).toContain(kind);
  });

  it('has at most one fault of each process itself in a round', () => {
    for (const steps of rounds(7)) {
      const struck = steps.flatMap(({ fault }) =>
        fault.kind === 'kill' || fault.kind === 'stop' || fault.kind === 'pause' ? [fault.process] : [],
      );
      expect(new Set(struck).size).toBe(struck.length);
    }
  });

  it('has the faults that only this setting has', () => {
    const kinds = new Set(rounds(7).flatMap((steps) => steps.map(({ fault }) => fault.kind)));
    const own: Partial<Record<SettingName, string[]>> = {
      'nats-cluster': ['kill-leader'],
      rough: ['slow', 'refuse', 'drain', 'absent'],
      leafs: ['leaf'],
    };
    for (const [setting, some] of Object.entries(own)) {
      for (const kind of some) expect([kind, kinds.has(kind as never)]).toEqual([kind, setting === name]);
    }
  });
});

describe('Leafs in a soak', () => {
  it('change nothing of the other faults', () => {
    const others = (name: SettingName) =>
      Array.from({ length: 20 }, (_, round) => planRound(7, round, SETTINGS[name])).map((steps) =>
        steps.filter(({ fault }) => fault.kind !== 'leaf'),
      );
    expect(others('leafs')).toEqual(others('usual'));
  });

  it('go in both ways, and are only counted when a round is shown', () => {
    const step = (fault: Fault) => ({ atMs: 1, forMs: 2, fault });
    expect(showStep(step({ kind: 'leaf', leaf: 3, how: 'reset' }))).toBe('1 ms +2: leaf 3 reset');
    const steps: Fault[] = [
      { kind: 'leaf', leaf: 3, how: 'reset' },
      { kind: 'kill', process: 'gateway-1' },
      { kind: 'withdraw', peer: 1, span: 1 },
      { kind: 'leaf', leaf: 4, how: 'leave' },
    ];
    expect(showRound(steps.map(step))).toBe('1 ms +2: kill gateway-1; 2 leafs go; 1 spans withdrawn or relays refused');
  });
});

describe('The settings of a soak', () => {
  it('are selected by name, or all', () => {
    expect(settingsOf('no-nats')).toEqual(['no-nats']);
    expect(settingsOf('all')).toEqual(Object.keys(SETTINGS));
    expect(() => settingsOf('calm')).toThrow(/usual/);
  });
});
