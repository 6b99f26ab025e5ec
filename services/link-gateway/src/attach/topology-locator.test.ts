import { LEASES_BUCKET, TOPOLOGY_ROLE } from '@spanmesh/runtime/bus/bus-names';
import { InProcessBus } from '@spanmesh/runtime/bus/in-process/in-process-bus';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { encodeLeaseRecord } from '@spanmesh/runtime/lease/lease-record';
import { describe, expect, it } from 'vitest';
import { MAX_REPLICAS } from '../limits.ts';
import { TopologyLocator } from './topology-locator.ts';

function setup(addresses: string[] = []) {
  const bus = new InProcessBus({
    onError: (error) => {
      throw error;
    },
  });
  const locator = new TopologyLocator({ addresses: () => addresses }, { bus, clock: new FakeClock() });
  locator.start();
  let epoch = 0;
  /** Lets this address hold the lease; '': nobody holds it. */
  const lease = async (address: string) => {
    epoch++;
    const record = { holder: address, address, epoch, ttl: 1000, settings: '', beat: 0 };
    await (await bus.kv(LEASES_BUCKET)).put(TOPOLOGY_ROLE, encodeLeaseRecord(record));
    // Until the watch of the lease has been told.
    for (let i = 0; i < 10; i++) await Promise.resolve();
  };
  const changed = () => new Promise<void>((resolve) => locator.onChange(resolve));
  return { locator, lease, changed };
}

/** All addresses that a round asks, in order. */
function round(locator: TopologyLocator): string[] {
  locator.again();
  const asked: string[] = [];
  for (let next = locator.next(); next !== null; next = locator.next()) asked.push(next);
  expect(locator.isExhausted).toBe(true);
  return asked;
}

describe('whom a gateway asks to be taken on', () => {
  it('is nobody while no address is known', () => {
    const { locator } = setup();
    expect([locator.address(), round(locator)]).toEqual([null, []]);
  });

  it('is each address of the setting once a round', () => {
    const { locator } = setup(['a:1', 'b:1', 'a:1']);
    expect(round(locator)).toEqual(['a:1', 'b:1']);
    expect(round(locator)).toEqual(['a:1', 'b:1']);
  });

  it('is the holder of the lease, then the replicas of the last Welcome, then the addresses of the setting', async () => {
    const { locator, lease, changed } = setup(['s:1', 'r:2']);
    const first = changed();
    await lease('l:1');
    await first;
    expect([locator.address(), round(locator)]).toEqual(['l:1', ['l:1', 's:1', 'r:2']]);
    locator.leads('l:1', ['l:1', 'r:1', 'r:2']);
    expect(round(locator)).toEqual(['l:1', 'r:1', 'r:2', 's:1']);
    locator.knows(['r:3']);
    expect(round(locator)).toEqual(['l:1', 'r:3', 's:1', 'r:2']);
  });

  it('is first the leader that another replica names', () => {
    const { locator } = setup(['a:1', 'b:1']);
    expect(locator.next()).toBe('a:1');
    locator.doesNotLead('c:1');
    expect([locator.isNamed('c:1'), locator.isNamed('b:1')]).toEqual([true, false]);
    expect([locator.next(), locator.next(), locator.next()]).toEqual(['c:1', 'b:1', null]);
    locator.leads('c:1', []);
    expect([locator.address(), round(locator)]).toEqual(['c:1', ['c:1', 'a:1', 'b:1']]);
  });

  it('is nobody twice in a round, even if two replicas name each other', () => {
    const { locator } = setup(['a:1', 'b:1']);
    const asked: (string | null)[] = [];
    for (let i = 0; i < 4; i++) {
      asked.push(locator.next());
      locator.doesNotLead(i % 2 === 0 ? 'b:1' : 'a:1');
    }
    expect(asked).toEqual(['a:1', 'b:1', null, null]);
  });

  it('changes as soon as the lease names another holder, and stays the same when the lease is released', async () => {
    const { locator, lease, changed } = setup();
    await lease('l:1');
    locator.leads('l:1', ['l:1', 'l:2']);
    const second = changed();
    await lease('l:2');
    await second;
    expect([locator.address(), round(locator)]).toEqual(['l:2', ['l:2', 'l:1']]);
    await lease('');
    expect(locator.address()).toBe('l:2');
  });

  // Limits: link-gateway/src/limits.ts MAX_REPLICAS
  it('is no more than MAX_REPLICAS replicas, and nothing that is no address', () => {
    const { locator } = setup();
    locator.doesNotLead('nowhere');
    locator.leads('l:1', ['', 'x', ...Array.from({ length: 20 }, (_, i) => `r:${i + 1}`)]);
    expect(round(locator)).toHaveLength(1 + MAX_REPLICAS - 2);
  });

  it('is asked for a longer time if the lease or another replica names it, until it has taken the gateway on', async () => {
    const { locator, lease, changed } = setup(['a:1']);
    const first = changed();
    await lease('l:1');
    await first;
    expect([locator.isNamed('l:1'), locator.isNamed('a:1')]).toEqual([true, false]);
    locator.doesNotLead('h:1');
    expect([locator.isNamed('h:1'), locator.isExhausted]).toEqual([true, false]);
    expect(round(locator)).toEqual(['h:1', 'l:1', 'a:1']);
    locator.doesNotLead('');
    expect(round(locator)).toEqual(['h:1', 'l:1', 'a:1']);
    locator.leads('a:1', []);
    // The round begins anew.
    expect([locator.isNamed('h:1'), locator.address(), locator.isExhausted]).toEqual([false, 'a:1', false]);
    expect(round(locator)).toEqual(['l:1', 'a:1']);
    locator.doesNotLead('h:2');
    const second = changed();
    await lease('l:2');
    await second;
    expect([locator.isNamed('h:2'), locator.address(), locator.isExhausted]).toEqual([false, 'l:2', false]);
  });

  it('does not change when the lease names the same holder again', async () => {
    const { locator, lease } = setup();
    let changes = 0;
    locator.onChange(() => changes++);
    await lease('l:1');
    await expect.poll(() => changes).toBe(1);
    await lease('l:1');
    await lease('');
    await lease('l:1');
    expect([changes, locator.address()]).toEqual([1, 'l:1']);
  });

  it('does not change any more once the locator has stopped, though it was just begun', async () => {
    const { locator, lease } = setup(['a:1']);
    await locator.stop();
    await lease('l:1');
    expect(locator.address()).toBe('a:1');
    const other = setup(['a:1']);
    await other.lease('l:1');
    expect(other.locator.address()).toBe('l:1');
    await other.locator.stop();
    await other.lease('l:2');
    expect(other.locator.address()).toBe('l:1');
  });

  it('is an address of the setting where no lease can be read', () => {
    const locator = new TopologyLocator({ addresses: () => ['a:1'] }, { bus: null, clock: new FakeClock() });
    locator.start();
    expect([locator.address(), round(locator)]).toEqual(['a:1', ['a:1']]);
  });
});
