import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { expect, it } from 'vitest';
import { type FailingOf, FailureLimit } from './failure-limit.ts';
import { FAILED_HANDSHAKES_MS, MAX_FAILING } from './limits.ts';

function limit({ perAddress = 4, perKey = 8 } = {}) {
  const clock = new FakeClock();
  const told: [FailingOf, string][] = [];
  const reached = (of: FailingOf, address: string) => told.push([of, address]);
  return { clock, told, failures: new FailureLimit({ perAddress, perKey }, { clock, reached }) };
}

// Limits: handshake/limits.ts DEFAULT_FAILED_HANDSHAKES_PER_ADDRESS
it('allows a limited number of failures of an address, reports the limit once, and regains them evenly', () => {
  const { failures, clock, told } = limit();
  for (let n = 0; n < 4; n++) {
    expect(failures.limited('a', 'k')).toBeNull();
    failures.count('a', 'k');
  }
  expect([failures.limited('a', 'k'), failures.limited('b', 'k')]).toEqual(['address', null]);
  expect(told).toEqual([['address', 'a']]);
  clock.advance(FAILED_HANDSHAKES_MS / 4);
  expect(failures.limited('a', 'k')).toBeNull();
  failures.count('a', 'k');
  expect(failures.limited('a', 'k')).toBe('address');
  expect(told).toHaveLength(1);
  clock.advance(FAILED_HANDSHAKES_MS);
  for (let n = 0; n < 4; n++) failures.count('a', 'k');
  expect(told).toHaveLength(2);
  expect(failures.reached).toEqual({ address: 2, key: 0 });
});

// Limits: handshake/limits.ts DEFAULT_FAILED_HANDSHAKES_PER_KEY
it('allows a limited number of failures with a key, from all addresses together', () => {
  const { failures, told } = limit();
  for (const address of ['a', 'b', 'c', 'd']) for (let n = 0; n < 2; n++) failures.count(address, 'k');
  expect([failures.limited('e', 'k'), failures.limited('e', 'other')]).toEqual(['key', null]);
  expect(told).toEqual([['key', 'd']]);
});

// Limits: handshake/limits.ts MAX_FAILING
it('is bounded: addresses that have failed least are forgotten first', () => {
  const { failures, clock } = limit({ perKey: 1_000_000 });
  for (let n = 0; n < 4; n++) failures.count('worst', 'k');
  for (let n = 0; n < MAX_FAILING + 5; n++) failures.count(`address ${n}`, 'k');
  expect(failures.size).toBe(MAX_FAILING + 1);
  expect(failures.limited('worst', 'k')).toBe('address');
  clock.advance(FAILED_HANDSHAKES_MS);
  failures.count('new', 'k');
  expect(failures.size).toBe(2);
});
