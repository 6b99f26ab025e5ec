import { beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from './fake-clock.ts';
import { type Fate, FaultyKv } from './faulty-kv.ts';
import { InProcessKeyValue } from './in-process-kv.ts';
import { type GatewayRecord, GatewayRegistration, GatewayRegistry, REGISTRY_AGE_MS } from './registry.ts';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function advance(clock: FakeClock, ms: number): Promise<void> {
  const end = clock.now() + ms;
  await settle();
  for (let next = clock.nextAt(); next !== null && next <= end; next = clock.nextAt()) {
    clock.advance(next - clock.now());
    await settle();
  }
  clock.advance(end - clock.now());
  await settle();
}

const gw1: GatewayRecord = {
  name: 'gw1',
  boot: 'b1',
  serviceAddress: '10.0.0.1:9988',
  version: '0.1.0',
  draining: false,
};
const gw2: GatewayRecord = {
  name: 'gw2',
  boot: 'b2',
  serviceAddress: '10.0.0.2:9988',
  version: '0.1.0',
  draining: false,
};

describe('gateway registry', () => {
  let clock: FakeClock;
  let kv: InProcessKeyValue;
  let registry: GatewayRegistry;
  let changes: string[][];
  beforeEach(() => {
    clock = new FakeClock();
    kv = new InProcessKeyValue({ onError: (error) => expect.unreachable(String(error)) });
    registry = new GatewayRegistry({ kv, clock });
    changes = [];
    registry.onChange(() => changes.push(names()));
  });

  const names = (): string[] =>
    registry
      .gateways()
      .map(({ name, boot }) => `${name}/${boot}`)
      .toSorted();

  it('knows those present at its start, and those that come', async () => {
    await new GatewayRegistration(gw1, { kv, clock }).start();
    await registry.start();
    expect(registry.gateways()).toEqual([gw1]);
    await new GatewayRegistration(gw2, { kv, clock }).start();
    await settle();
    expect(registry.get('gw2')).toEqual(gw2);
    expect(registry.get('gw3')).toBeNull();
  });

  it('keeps a gateway that renews, without calling it a change', async () => {
    await registry.start();
    await new GatewayRegistration(gw1, { kv, clock }).start();
    await advance(clock, 10 * REGISTRY_AGE_MS);
    expect(names()).toEqual(['gw1/b1']);
    expect(changes).toEqual([['gw1/b1']]);
  });

  it('ages out a gateway of which it sees no new revision for 5 s, and only that one', async () => {
    await registry.start();
    await new GatewayRegistration(gw1, { kv, clock }).start();
    let fate: Fate = { kind: 'ok' };
    const silent = new GatewayRegistration(gw2, { kv: new FaultyKv(kv, { clock, next: () => fate }), clock });
    await silent.start();
    fate = { kind: 'fail' };
    await advance(clock, REGISTRY_AGE_MS - 1);
    expect(names()).toEqual(['gw1/b1', 'gw2/b2']);
    await advance(clock, 1);
    expect(names()).toEqual(['gw1/b1']);
    expect(changes.at(-1)).toEqual(['gw1/b1']);
    expect(silent.failures).toBe(5);
    fate = { kind: 'ok' };
    await advance(clock, 1000);
    expect(names()).toEqual(['gw1/b1', 'gw2/b2']);
  });

  it('notices a stop at once', async () => {
    await registry.start();
    const registration = new GatewayRegistration(gw1, { kv, clock });
    await registration.start();
    await advance(clock, 1500);
    await registration.stop();
    await settle();
    expect(changes).toEqual([['gw1/b1'], []]);
    await advance(clock, 5000);
    expect(await kv.keys()).toEqual([]);
  });

  it('tells of a new boot of the same name, whose entry the old one does not delete', async () => {
    await registry.start();
    const old = new GatewayRegistration(gw1, { kv, clock });
    await old.start();
    const next = new GatewayRegistration({ ...gw1, boot: 'b9' }, { kv, clock });
    await next.start();
    await old.stop();
    await settle();
    expect(changes).toEqual([['gw1/b1'], ['gw1/b9']]);
    expect(names()).toEqual(['gw1/b9']);
  });

  it('takes no entry that is not a record of its key', async () => {
    await registry.start();
    const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
    await kv.put('other', encode(gw1));
    await kv.put('gw1', encode({ ...gw1, boot: 7 }));
    await kv.put('gw2', new Uint8Array([0xff]));
    await settle();
    expect(names()).toEqual([]);
    expect(changes).toEqual([]);
  });

  it('forgets and stays silent once stopped', async () => {
    await registry.start();
    await registry.stop();
    await new GatewayRegistration(gw1, { kv, clock }).start();
    await settle();
    expect([names(), changes]).toEqual([[], []]);
  });

  it('opens its watch again when the store was away at its start', async () => {
    await new GatewayRegistration(gw1, { kv, clock }).start();
    let away = true;
    const flaky = Object.assign(Object.create(kv), {
      watch: (fn: Parameters<typeof kv.watch>[0]) => (away ? Promise.reject(new Error('away')) : kv.watch(fn)),
    });
    const late = new GatewayRegistry({ kv: flaky, clock });
    await late.start();
    expect(late.gateways()).toEqual([]);
    away = false;
    await advance(clock, 1000);
    expect(late.gateways()).toEqual([gw1]);
  });
});
