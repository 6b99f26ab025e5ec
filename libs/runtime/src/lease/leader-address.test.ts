import { afterEach, describe, expect, it } from 'vitest';
import { LEASES_BUCKET } from '../bus/bus-names.ts';
import { InProcessBus } from '../bus/in-process/in-process-bus.ts';
import { FakeClock } from '../fake-clock.ts';
import { LeaderAddress } from './leader-address.ts';
import { encodeLeaseRecord } from './lease-record.ts';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const leading = (address: string) =>
  encodeLeaseRecord({ holder: address, address, epoch: 1_600_000_000, ttl: 1000, settings: '', beat: 0 });

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

describe('the address of the leader', () => {
  it('is that of the lease of the role, and `changed` is called when it changes', async () => {
    const bus = new InProcessBus({ onError: (error) => expect.unreachable(String(error)) });
    cleanups.push(() => bus.close());
    const kv = await bus.kv(LEASES_BUCKET);
    await kv.put('volconf', leading('volconf:1'));
    await kv.put('topology', leading('topology:1'));
    const seen: (string | null)[] = [];
    const leader = new LeaderAddress(
      { role: 'volconf', changed: () => seen.push(leader.address()) },
      { bus, clock: new FakeClock() },
    );
    cleanups.push(() => leader.stop());
    expect(leader.address()).toBeNull();
    await leader.start();
    await settle();
    expect([leader.address(), seen.at(-1)]).toEqual(['volconf:1', 'volconf:1']);
    await kv.put('volconf', leading('volconf:2'));
    await kv.put('topology', leading('topology:2'));
    await settle();
    expect([leader.address(), seen.at(-1)]).toEqual(['volconf:2', 'volconf:2']);
  });

  it('is none where there is nobody to ask', async () => {
    const leader = new LeaderAddress({ role: 'volconf', changed: () => {} }, { bus: null, clock: new FakeClock() });
    await leader.start();
    expect(leader.address()).toBeNull();
    await leader.stop();
  });
});

it('a leader is not looked for any more once it is stopped, even while the bucket is opened', async () => {
  const bus = new InProcessBus({ onError: (error) => expect.unreachable(String(error)) });
  cleanups.push(() => bus.close());
  const kv = await bus.kv(LEASES_BUCKET);
  await kv.put('volconf', leading('volconf:1'));
  let told = 0;
  const made = () => new LeaderAddress({ role: 'volconf', changed: () => told++ }, { bus, clock: new FakeClock() });
  const [early, late] = [made(), made()];
  const started = early.start();
  await early.stop();
  await started;
  await settle();
  expect([early.address(), told]).toEqual([null, 0]);
  await late.start();
  await settle();
  expect([late.address(), told]).toEqual(['volconf:1', 1]);
  await late.stop();
  await kv.put('volconf', leading('volconf:2'));
  await settle();
  expect(told).toBe(1);
  // A record without an address names nobody.
  const nameless = made();
  await kv.put('volconf', encodeLeaseRecord({ holder: 'h', address: '', epoch: 1, ttl: 1, settings: '', beat: 0 }));
  await nameless.start();
  await settle();
  expect(nameless.address()).toBeNull();
  await nameless.stop();
});
