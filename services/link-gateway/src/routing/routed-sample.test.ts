import type { Transaction } from '@spanmesh/dmsg/transaction';
import { Distribution } from '@spanmesh/runtime/distribution';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { describe, expect, it } from 'vitest';
import { RoutedSample } from './routed-sample.ts';

/** Only the identity of the object matters, and its msgid. */
const aTransaction = (msgidLo = 7): Transaction => ({ msgidLo }) as Transaction;

describe('RoutedSample', () => {
  it('measures the transactions that it was told of, except those that were lost', () => {
    const clock = new FakeClock();
    const seconds = new Distribution();
    const sample = new RoutedSample({ clock, seconds });
    const [ended, lost, other] = [aTransaction(), aTransaction(), aTransaction()];
    sample.begun(ended);
    sample.begun(lost);
    clock.advance(250);
    sample.ended(other);
    sample.ended(ended);
    sample.ended(ended);
    sample.lost(lost);
    sample.ended(lost);
    expect([seconds.count, seconds.sum]).toEqual([1, 0.25]);
  });

  it('knows its transactions whatever their msgids, also beside others whose msgids end alike', () => {
    const clock = new FakeClock();
    const seconds = new Distribution();
    const sample = new RoutedSample({ clock, seconds });
    const [one, alike, far] = [aTransaction(5), aTransaction(5 + 1024), aTransaction(0xffffffff)];
    for (const tx of [one, alike, far]) sample.begun(tx);
    clock.advance(1000);
    sample.lost(one);
    sample.lost(one);
    sample.ended(aTransaction(5));
    expect([sample.size, seconds.count]).toEqual([2, 0]);
    sample.ended(alike);
    sample.ended(far);
    expect([sample.size, seconds.count, seconds.sum]).toEqual([0, 2, 2]);
  });

  // Limits: routing/routed-sample.ts MAX_SAMPLED
  it('measures a bounded number at a time', () => {
    const seconds = new Distribution();
    const sample = new RoutedSample({ clock: new FakeClock(), seconds });
    const all = Array.from({ length: 2000 }, aTransaction);
    for (const tx of all) sample.begun(tx);
    for (const tx of all) sample.ended(tx);
    expect(seconds.count).toBe(1024);
  });
});
