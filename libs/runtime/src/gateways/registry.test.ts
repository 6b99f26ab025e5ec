import { beforeEach, describe, expect, it } from 'vitest';
import { type Fate, FaultyKv } from '../bus/in-process/faulty-kv.ts';
import { InProcessKeyValue } from '../bus/in-process/in-process-kv.ts';
import { FakeClock } from '../fake-clock.ts';
import { advance, settle } from '../fake-time.fixture.ts';
import {
  type GatewayRecord,
  GatewayRegistration,
  GatewayRegistry,
  REGISTRATION_LOOK_MS,
  REGISTRATION_RETRY_MS,
} from './registry.ts';

const gw1: GatewayRecord = {
  name: 'gw1',
  boot: 'b1',
  firstBoot: 'b1',
  serviceAddress: '10.0.0.1:9988',
  version: '0.1.0',
  draining: false,
};
const gw2: GatewayRecord = {
  name: 'gw2',
  boot: 'b2',
  firstBoot: 'b2',
  serviceAddress: '10.0.0.2:9988',
  version: '0.1.0',
  draining: false,
};

describe('a gateway', () => {
  let clock: FakeClock;
  let kv: InProcessKeyValue;
  beforeEach(() => {
    clock = new FakeClock();
    kv = new InProcessKeyValue({ onError: (error) => expect.unreachable(String(error)) });
  });
  const entry = async (): Promise<unknown> => {
    const value = (await kv.get('gw1'))?.value;
    return value == null ? null : JSON.parse(new TextDecoder().decode(value));
  };

  it('writes its entry again when that is deleted, under its id of that time', async () => {
    let boot = 'b1';
    await new GatewayRegistration(() => ({ ...gw1, boot }), { kv, clock }).start();
    await settle();
    await kv.delete('gw1');
    boot = 'b2';
    await advance(clock, REGISTRATION_LOOK_MS);
    expect(await entry()).toEqual({ ...gw1, boot: 'b2' });
  });

  describe('in a store that was rolled back to the entry of its former boot', () => {
    let fate: Fate = { kind: 'ok' };
    beforeEach(async () => {
      fate = { kind: 'ok' };
      await new GatewayRegistration(() => gw1, { kv: new FaultyKv(kv, { clock, next: () => fate }), clock }).start();
      await settle();
      await kv.put('gw1', new TextEncoder().encode(JSON.stringify({ ...gw1, boot: 'b0' })));
    });

    it('writes its entry again when that one is deleted', async () => {
      await advance(clock, 2 * REGISTRATION_LOOK_MS);
      expect(await entry()).toMatchObject({ boot: 'b0' });
      await kv.delete('gw1');
      await advance(clock, REGISTRATION_LOOK_MS);
      expect(await entry()).toEqual(gw1);
    });

    it('retries until the store answers, and leaves an existing entry of its own alone', async () => {
      fate = { kind: 'fail' };
      await kv.delete('gw1');
      await advance(clock, 5 * REGISTRATION_LOOK_MS);
      expect(await entry()).toBeNull();
      await kv.put('gw1', new TextEncoder().encode(JSON.stringify({ ...gw1, boot: 'b9' })));
      fate = { kind: 'ok' };
      await advance(clock, 5 * REGISTRATION_LOOK_MS);
      expect(await entry()).toMatchObject({ boot: 'b9' });
    });
  });

  it('replaces the other boot’s entry when a leader accepts it before it has seen that entry', async () => {
    const mine = new GatewayRegistration(() => gw1, { kv, clock });
    await mine.start();
    await kv.put('gw1', new TextEncoder().encode(JSON.stringify({ ...gw1, boot: 'b2' })));
    mine.renew();
    await settle();
    expect(await entry()).toMatchObject({ boot: 'b1' });
  });

  it('leaves the entry of another boot alone until a leader accepts this boot', async () => {
    const mine = new GatewayRegistration(() => gw1, { kv, clock });
    await mine.start();
    await new GatewayRegistration(() => ({ ...gw1, boot: 'b2' }), { kv, clock }).start();
    await advance(clock, 10_000);
    expect(await entry()).toMatchObject({ boot: 'b2' });
    mine.renew();
    await settle();
    expect(await entry()).toMatchObject({ boot: 'b1' });
  });

  it('writes nothing when a leader accepts it and its entry is there', async () => {
    const mine = new GatewayRegistration(() => gw1, { kv, clock });
    await mine.start();
    await settle();
    mine.renew();
    await settle();
    expect((await kv.get('gw1'))?.revision).toBe(1);
  });

  it('writes into its entry that it drains, and a new id', async () => {
    let boot = 'b1';
    const mine = new GatewayRegistration(() => ({ ...gw1, boot }), { kv, clock });
    await mine.start();
    boot = 'b2';
    mine.drain();
    await settle();
    expect(await entry()).toEqual({ ...gw1, boot: 'b2', draining: true });
  });

  it('retries while the store is away', async () => {
    let fate: Fate = { kind: 'fail' };
    const away = new FaultyKv(kv, { clock, next: () => fate });
    const mine = new GatewayRegistration(() => gw1, { kv: away, clock });
    await mine.start();
    await advance(clock, 3 * REGISTRATION_RETRY_MS);
    expect([await entry(), mine.failures]).toEqual([null, 4]);
    fate = { kind: 'ok' };
    await advance(clock, REGISTRATION_RETRY_MS);
    expect([await entry(), mine.failures]).toEqual([gw1, 0]);
  });
});

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

  const register = (record: GatewayRecord): GatewayRegistration => new GatewayRegistration(() => record, { kv, clock });

  const names = (): string[] =>
    registry
      .gateways()
      .map(({ name, boot }) => `${name}/${boot}`)
      .toSorted();

  it('knows the gateways present at its start, and later ones', async () => {
    await register(gw1).start();
    await registry.start();
    expect(registry.gateways()).toEqual([gw1]);
    await register(gw2).start();
    await settle();
    expect(registry.get('gw2')).toEqual(gw2);
    expect(registry.get('gw3')).toBeNull();
  });

  it('takes the boot id of a record without a first one for the first', async () => {
    await registry.start();
    const { firstBoot: _, ...earlier } = gw1;
    await kv.put('gw1', new TextEncoder().encode(JSON.stringify(earlier)));
    await settle();
    expect(registry.get('gw1')).toEqual(gw1);
  });

  it('keeps a gateway that writes nothing more, as long as its entry stays', async () => {
    await registry.start();
    await register(gw1).start();
    await advance(clock, 3_600_000);
    expect(names()).toEqual(['gw1/b1']);
    expect((await kv.get('gw1'))?.revision).toBe(1);
    expect(changes).toEqual([[], ['gw1/b1']]);
  });

  it('is complete once everything has been read', async () => {
    expect(registry.isComplete).toBe(false);
    await registry.start();
    expect(registry.isComplete).toBe(true);
  });

  it('deletes the entry of a dead gateway, and not that of another boot', async () => {
    const first = register(gw1);
    await first.start();
    await registry.start();
    await registry.remove('gw1', 'b0');
    expect((await kv.get('gw1'))?.value).not.toBeNull();
    await registry.remove('gw1', 'b1');
    expect(await kv.keys()).toEqual([]);
  });

  it('notices a stop at once', async () => {
    await registry.start();
    const registration = register(gw1);
    await registration.start();
    await advance(clock, 1500);
    await registration.stop();
    await settle();
    expect(changes).toEqual([[], ['gw1/b1'], []]);
    await advance(clock, 5000);
    expect(await kv.keys()).toEqual([]);
  });

  it('reports a new boot of the same name, whose entry the old boot does not delete', async () => {
    await registry.start();
    const old = register(gw1);
    await old.start();
    const next = register({ ...gw1, boot: 'b9' });
    await next.start();
    await old.stop();
    await settle();
    expect(changes).toEqual([[], ['gw1/b1'], ['gw1/b9']]);
    expect(names()).toEqual(['gw1/b9']);
  });

  it('ignores entries that are no records of their key', async () => {
    await registry.start();
    const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
    await kv.put('other', encode(gw1));
    await kv.put('gw1', encode({ ...gw1, boot: 7 }));
    await kv.put('gw2', new Uint8Array([0xff]));
    await settle();
    expect(names()).toEqual([]);
    expect(changes).toEqual([[]]);
  });

  // Limits: gateways/registry.ts MAX_GATEWAYS
  it('keeps a limited number of gateways, and follows the changes of those', async () => {
    const entries = Array.from({ length: 4097 }, (_, i) => ({ ...gw1, name: `gw-${i}` }));
    const put = (record: GatewayRecord) => kv.put(record.name, new TextEncoder().encode(JSON.stringify(record)));
    for (const record of entries) await put(record);
    // The list is not sorted at each change.
    const large = new GatewayRegistry({ kv, clock });
    await large.start();
    await settle();
    expect(large.gateways()).toHaveLength(4096);
    expect(large.get('gw-4095')?.boot).toBe('b1');
    expect(large.get('gw-4096')).toBeNull();
    await put({ ...entries[4095]!, boot: 'b2' });
    await settle();
    expect(large.get('gw-4095')?.boot).toBe('b2');
    await kv.delete('gw-0');
    await put(entries[4096]!);
    await settle();
    expect(large.get('gw-4096')?.boot).toBe('b1');
  });

  it('forgets all gateways and stays silent once stopped', async () => {
    await registry.start();
    await registry.stop();
    await register(gw1).start();
    await settle();
    expect([names(), changes]).toEqual([[], [[]]]);
  });

  it('opens its watch later when the store was away at its start', async () => {
    await register(gw1).start();
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
