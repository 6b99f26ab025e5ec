import { expect, it } from 'vitest';
import { AllWantedTargets, type WantedTarget, type WantedTargets } from './wanted-targets.ts';

function source(loaded: boolean, ...names: string[]): WantedTargets {
  const targets = new Map(
    names.map((name): [string, WantedTarget] => [name, { name, path: 'span:a', dialect: 'auto', origin: 'operator' }]),
  );
  return { loaded, all: () => targets.values(), get: (name) => targets.get(name) };
}

it('several sources of targets are one: loaded when all are, with the targets of each', () => {
  const both = new AllWantedTargets([source(true, 'a'), source(true, 'b', 'c')]);
  expect([both.loaded, [...both.all()].map(({ name }) => name)]).toEqual([true, ['a', 'b', 'c']]);
  expect([both.get('a')?.name, both.get('c')?.name, both.get('d')]).toEqual(['a', 'c', undefined]);
  expect(new AllWantedTargets([source(true), source(false)]).loaded).toBe(false);
  expect(new AllWantedTargets([]).loaded).toBe(true);
});
