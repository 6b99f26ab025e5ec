import { expect, it } from 'vitest';
import { InProcessKeyValue } from '../bus/in-process/in-process-kv.ts';
import { FakeClock } from '../fake-clock.ts';
import { Lease, type LeaseHolder } from './lease.ts';
import { LeaseWatch } from './lease-watch.ts';

/** Epoch of a term that begins at the start of the fake clock: the seconds of its wall clock. */
const FIRST = 1_600_000_000;

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('LeaseWatch names the holder of its role, and changes of it, not renewals', async () => {
  const clock = new FakeClock();
  const kv = new InProcessKeyValue({ onError: (error) => expect.unreachable(String(error)) });
  const contend = (address: string, role: string): Lease => {
    const lease = new Lease({ role, address, ttlMs: 1000 }, { kv, clock, random: () => address.length / 100 });
    lease.start();
    return lease;
  };
  const first = contend('a:1', 'topology');
  contend('other:1', 'volconf');
  await settle();
  const watch = new LeaseWatch({ role: 'topology' }, { kv, clock });
  const changes: (LeaseHolder | null)[] = [];
  watch.onChange((holder) => changes.push(holder));
  await watch.start();
  expect(watch.holder()).toEqual({ address: 'a:1', epoch: FIRST });
  clock.advance(250);
  await settle();
  await first.stop();
  await settle();
  contend('bb:1', 'topology');
  await settle();
  expect(changes).toEqual([{ address: 'a:1', epoch: FIRST }, null, { address: 'bb:1', epoch: FIRST + 1 }]);
  await watch.stop();
});
