import { expect, it } from 'vitest';
import { InProcessKeyValue } from '../bus/in-process/in-process-kv.ts';
import { FakeClock } from '../fake-clock.ts';
import { Lease, type LeaseHolder } from './lease.ts';
import { encodeLeaseRecord, type LeaseRecord } from './lease-record.ts';
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

it('LeaseWatch tells a new address or epoch, and nothing of what is no record, until it is stopped', async () => {
  const kv = new InProcessKeyValue({ onError: (error) => expect.unreachable(String(error)) });
  const watch = new LeaseWatch({ role: 'topology' }, { kv, clock: new FakeClock() });
  const told: (LeaseHolder | null)[] = [];
  const subscription = watch.onChange((holder) => told.push(holder));
  const put = async (more: Partial<LeaseRecord> | null) => {
    const record = { holder: 'h', address: 'a:1', epoch: 1, ttl: 1000, settings: '', beat: 0 };
    await kv.put('topology', more === null ? new Uint8Array(1) : encodeLeaseRecord({ ...record, ...more }));
    await settle();
    return told.splice(0);
  };
  await watch.start();
  expect([watch.holder(), told]).toEqual([null, []]);
  expect(await put(null)).toEqual([]);
  expect(await put({})).toEqual([{ address: 'a:1', epoch: 1 }]);
  expect(await put({ beat: 1 })).toEqual([]);
  expect(await put({ epoch: 2 })).toEqual([{ address: 'a:1', epoch: 2 }]);
  expect(await put({ epoch: 2, address: 'b:1' })).toEqual([{ address: 'b:1', epoch: 2 }]);
  expect(await put(null)).toEqual([null]);
  expect(await put({})).toEqual([{ address: 'a:1', epoch: 1 }]);
  await kv.delete('topology');
  await settle();
  expect([told.splice(0), watch.holder()]).toEqual([[null], null]);
  subscription.unsubscribe();
  expect([await put({}), watch.holder()]).toEqual([[], { address: 'a:1', epoch: 1 }]);
  await watch.stop();
  await put({ epoch: 9 });
  expect(watch.holder()).toEqual({ address: 'a:1', epoch: 1 });
});
