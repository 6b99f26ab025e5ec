import { InProcessBus } from '@spanmesh/runtime/bus/in-process/in-process-bus';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { GatewayRegistration } from '@spanmesh/runtime/gateways/registry';
import { type Living, SIGN_GAP_MS, SILENT_MS, SignOfLife } from '@spanmesh/runtime/gateways/signs-of-life';
import { expect, it } from 'vitest';
import { BusPresence } from './presence.ts';

const GATEWAY = { name: 'a', boot: '00000001', firstBoot: '00000001', serviceAddress: 'a:1', version: '1.0.0' };
const ID = 'a.00000001';
const SELF: Living = { kind: 'topology', id: 't1', name: 'me:1' };

const delivered = () => new Promise((resolve) => setImmediate(resolve));

it('the bus shows the registry and signs of life, this process among them, from the start to the end', async () => {
  const clock = new FakeClock();
  const bus = new InProcessBus({ onError: (error) => expect.unreachable(String(error)) });
  const pass = async (ms: number) => {
    for (const end = clock.now() + ms; clock.now() < end; ) {
      clock.advance(Math.min(1000, end - clock.now()));
      await delivered();
    }
  };
  const presence = new BusPresence({ bus, clock });
  const shown = () => [presence.isComplete, presence.gateways().length, presence.get('a'), presence.flowingSince];
  expect(shown()).toEqual([false, 0, null, null]);
  // Also when the registry has been read for the first time.
  let changes = 0;
  await pass(70);
  await presence.start({ self: () => SELF, changed: () => changes++ });
  await delivered();
  expect(shown()).toEqual([true, 0, null, 70]);
  expect(presence.living('topology').map(({ id }) => id)).toEqual(['t1']);

  const kv = await bus.kv('gateways');
  await new GatewayRegistration(() => GATEWAY, { kv, clock }).start();
  const sign = new SignOfLife(() => ({ kind: 'link-gateway', id: ID, name: 'a' }), { bus, clock });
  sign.start();
  await delivered();
  expect([presence.get('a')?.boot, presence.gateways().length, presence.lastSign(ID), changes]).toEqual([
    '00000001',
    1,
    70,
    2,
  ]);
  // It falls silent without a goodbye.
  const silent = new BusPresence({ bus, clock });
  await silent.start({ self: () => ({ kind: 'volconf', id: 'v1', name: 'v' }), changed: () => {} });
  await delivered();
  expect(presence.living('volconf')).toHaveLength(1);
  expect(presence.missed()).toEqual([]);
  presence.remove('a', '00000002');
  await delivered();
  expect(presence.get('a')).not.toBeNull();
  presence.remove('a', '00000001');
  await delivered();
  expect([presence.get('a'), changes]).toEqual([null, 3]);

  await silent.stop();
  await delivered();
  expect([presence.living('volconf'), presence.missed()]).toEqual([[], []]);
  await presence.stop();
  sign.stop();
  await pass(SILENT_MS + SIGN_GAP_MS);
  expect(presence.flowingSince).toBeNull();
  await kv.put('b', Buffer.from('{}'));
  await delivered();
  expect(changes).toBe(3);
});
