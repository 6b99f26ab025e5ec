import { setImmediate } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { collectGarbage } from './collect-garbage.ts';

it('collects what nothing refers to, and leaves no function for it behind', async () => {
  const dropped = new WeakRef({});
  const object = {};
  const held = new WeakRef(object);
  // What a WeakRef was made for lives until the end of the turn.
  await setImmediate();
  collectGarbage();
  expect(dropped.deref()).toBeUndefined();
  expect(held.deref()).toBe(object);
  expect(runInNewContext('typeof globalThis.gc')).toBe('undefined');
});
