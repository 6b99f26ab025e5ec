import { GATEWAYS_BUCKET, SIGNS_OF_LIFE } from '@spanmesh/runtime/bus/bus-names';
import { InProcessBus } from '@spanmesh/runtime/bus/in-process/in-process-bus';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { createLogger, Throttle } from '@spanmesh/runtime/log/logger';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Registration } from './registration.ts';

const IDENTITY = { name: 'gw', boot: '00000002', firstBoot: '00000001', version: '9', serviceAddress: 'gw:1' };

describe('a gateway shows itself', () => {
  let clock: FakeClock;
  let bus: InProcessBus;
  let log: Record<string, unknown>[];
  let signs: Record<string, unknown>[];
  /** How many more times the store cannot be reached. */
  let away: number;
  /** Awaited before the store answers. */
  let hold: Promise<void>;
  let registration: Registration;

  beforeEach(() => {
    clock = new FakeClock();
    bus = new InProcessBus({
      onError: (error) => {
        throw error;
      },
    });
    log = [];
    signs = [];
    away = 0;
    hold = Promise.resolve();
    bus.subscribe(SIGNS_OF_LIFE, (_, data) => void signs.push(JSON.parse(new TextDecoder().decode(data))));
    const kv = bus.kv.bind(bus);
    bus.kv = async (bucket) => {
      await hold;
      if (away-- > 0) throw new Error('away');
      return kv(bucket);
    };
    const logger = createLogger({
      level: 'info',
      service: 'test',
      destination: { write: (line: string) => void log.push(JSON.parse(line)) },
    });
    const throttle = new Throttle({ intervalMs: 10_000 }, { clock });
    registration = new Registration({ ...IDENTITY }, { bus, clock, logger, throttle });
  });

  afterEach(() => registration.stop());

  async function entry(): Promise<unknown> {
    const found = await (await bus.kv(GATEWAYS_BUCKET)).get('gw');
    return found?.value == null ? null : JSON.parse(new TextDecoder().decode(found.value));
  }

  it('by an entry with all that it is, and by signs of life, until it stops', async () => {
    await registration.start();
    expect(await entry()).toEqual({ ...IDENTITY, draining: false });
    await until(() => signs.length === 1);
    expect(signs).toEqual([{ kind: 'link-gateway', id: 'gw.00000002', name: 'gw', leaving: false }]);
    registration.leaving();
    await until(async () => ((await entry()) as { draining: boolean }).draining);
    await registration.stop();
    expect([await entry(), clock.pending]).toEqual([null, 0]);
    await until(() => signs.length === 2);
    expect(signs.at(-1)).toMatchObject({ leaving: true });
    expect(log).toEqual([]);
  });

  it('in an entry that is written again when a leader has taken it on, though another boot has replaced it', async () => {
    registration.renew();
    await registration.start();
    const kv = await bus.kv(GATEWAYS_BUCKET);
    await kv.put('gw', Buffer.from(JSON.stringify({ ...IDENTITY, boot: 'other', draining: false })));
    registration.renew();
    await until(async () => ((await entry()) as { boot: string }).boot === IDENTITY.boot);
  });

  it('as soon as the store is back, which is tried each second and logged once', async () => {
    away = 2;
    await registration.start();
    expect(log).toMatchObject([
      { level: 'warn', msg: 'the registry of gateways cannot be reached; it is tried again', err: { message: 'away' } },
    ]);
    const left = away;
    clock.advance(999);
    expect(away).toBe(left);
    clock.advance(1);
    await until(() => away === left - 1);
    // The timer of the next attempt, and that of the signs of life.
    await until(() => clock.pending === 2);
    clock.advance(1000);
    await until(async () => (await entry()) !== null);
    expect(log).toHaveLength(1);
  });

  it('no more once it leaves, though the store has not answered before that', async () => {
    let answer = () => {};
    hold = new Promise((resolve) => {
      answer = resolve;
    });
    const started = registration.start();
    registration.leaving();
    answer();
    await started;
    expect(await entry()).toBeNull();
    await registration.stop();
    expect(clock.pending).toBe(0);
  });

  it('no more once it leaves or stops while the store is away', async () => {
    away = 9;
    await registration.start();
    expect(clock.pending).toBe(2);
    registration.leaving();
    expect(clock.pending).toBe(1);
    await registration.stop();
    expect(clock.pending).toBe(0);
    await registration.start();
    expect(clock.pending).toBe(1);
  });

  it('no more once it has stopped, without a word before', async () => {
    away = 9;
    await registration.start();
    await registration.stop();
    expect(clock.pending).toBe(0);
  });
});
