import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { castParts } from './cast.ts';
import { Churn } from './churn.ts';
import { SimPeer } from './peer.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

it('closes and reopens each span by turns, and stops', () => {
  const [part] = castParts({ peers: 1, dialect: 'circuit', spans: 2, clusters: 1, seed: 1 });
  const peer = new SimPeer({ ...part!, connect: { host: '127.0.0.1', port: 1 } }, { random: () => 0 });
  const calls: string[] = [];
  vi.spyOn(peer, 'withdraw').mockImplementation((n) => void calls.push(`close ${n}`));
  vi.spyOn(peer, 'offer').mockImplementation((n) => void calls.push(`open ${n}`));
  // With 0.5, each span closes after ln 2 of the mean time, and is offered again after an eighth of it.
  const churn = new Churn({ meanMs: 1000 }, { peer, random: () => 0.5 });
  churn.start();
  vi.advanceTimersByTime(Math.ceil(Math.LN2 * 1000));
  expect(calls).toEqual(['close 0', 'close 1']);
  vi.advanceTimersByTime(125);
  expect(calls).toEqual(['close 0', 'close 1', 'open 0', 'open 1']);
  vi.advanceTimersByTime(10_000);
  expect(calls.slice(0, 6)).toEqual(['close 0', 'close 1', 'open 0', 'open 1', 'close 0', 'close 1']);
  churn.stop();
  const before = calls.length;
  vi.advanceTimersByTime(10_000);
  expect(calls).toHaveLength(before);
});
