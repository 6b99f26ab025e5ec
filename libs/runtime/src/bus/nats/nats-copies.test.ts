import { describe, expect, it } from 'vitest';
import { copiesThere } from './nats-copies.ts';

const S = 1e9;
const peer = (name: string, parts: { current: boolean; active: number; offline?: boolean }) => ({
  name,
  lag: 0,
  offline: false,
  ...parts,
});
const heard = peer('n2', { current: true, active: 0.4 * S });

describe('copies of a bucket', () => {
  it('of a server without a cluster: one', () => {
    expect(copiesThere(undefined)).toBe(1);
  });

  it.each([
    ['are there: the leader and who it hears', heard, 3],
    ['are there, though one is behind', peer('n3', { current: false, active: 0.9 * S }), 3],
    ['are fewer: one was killed, and is still taken for current', peer('n3', { current: true, active: 8 * S }), 2],
    ['are fewer: one was never heard by this leader', peer('n3', { current: false, active: 0 }), 2],
    ['are fewer: one has said that it stops', peer('n3', { current: false, active: 1 * S, offline: true }), 2],
  ])('%s', (_, other, there) => {
    expect(copiesThere({ name: 'c', leader: 'n1', replicas: [heard, other] })).toBe(there);
  });

  it('need a leader: none are known while one is elected', () => {
    expect(copiesThere({ name: 'c', leader: '', replicas: [heard, heard] })).toBe(2);
  });
});

it('a copy whose server was heard five seconds ago counts, and no longer', () => {
  const of = (active: number, current = true) =>
    copiesThere({ name: 'c', leader: 'n1', replicas: [peer('n2', { current, active })] });
  expect([of(5 * S), of(5 * S + 1)]).toEqual([2, 1]);
  // One nanosecond ago: it was heard. Never, but up to date: the library leaves the time out.
  expect([of(1, false), of(0, true), of(0, false)]).toEqual([2, 2, 1]);
});

it('a cluster whose leader names no other server has one copy, or none without a leader', () => {
  expect(copiesThere({ name: 'c', leader: 'n1' })).toBe(1);
  expect([copiesThere({ name: 'c', leader: '' }), copiesThere({ name: 'c' })]).toEqual([0, 0]);
});
