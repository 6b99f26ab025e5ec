import { beforeEach, describe, expect, it } from 'vitest';
import { SIGNS_OF_LIFE } from '../bus/bus-names.ts';
import { InProcessBus } from '../bus/in-process/in-process-bus.ts';
import { FakeClock } from '../fake-clock.ts';
import { type Living, SignOfLife, SignsOfLife } from './signs-of-life.ts';

// Written once more: a change of them must be noticed.
const SIGN_GAP_MS = 2500;
const SILENT_MS = 5000;

const delivered = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const topology: Living = { kind: 'topology', id: 't1', name: '10.0.0.9:1' };
const gateway: Living = { kind: 'link-gateway', id: 'a.00000001', name: 'a' };

describe('signs of life', () => {
  let clock: FakeClock;
  let bus: InProcessBus;
  let signs: SignsOfLife;
  beforeEach(() => {
    clock = new FakeClock();
    bus = new InProcessBus({ onError: (error) => expect.unreachable(String(error)) });
    signs = new SignsOfLife({ bus, clock });
    signs.start();
  });

  const give = (who: Living): SignOfLife => {
    const sign = new SignOfLife(() => who, { bus, clock });
    sign.start();
    return sign;
  };

  /** Advances a second at a time, so that each sign arrives at its own time. */
  const pass = async (seconds: number): Promise<void> => {
    await delivered();
    for (let i = 0; i < seconds; i++) {
      clock.advance(1000);
      await delivered();
    }
  };

  it('come once a second, with the current id', async () => {
    let { id } = gateway;
    new SignOfLife(() => ({ ...gateway, id }), { bus, clock }).start();
    await pass(3);
    expect(signs.lastSign(id)).toBe(3000);
    id = 'a.00000002';
    await pass(1);
    expect([signs.lastSign('a.00000001'), signs.lastSign('a.00000002')]).toEqual([3000, 4000]);
  });

  it('flow since the first one after a gap, and do not flow while none comes', async () => {
    expect(signs.flowingSince).toBeNull();
    const echo = give(topology);
    await pass(4);
    expect(signs.flowingSince).toBe(0);
    echo.stop();
    await pass(2);
    expect(signs.flowingSince).toBe(0);
    clock.advance(SIGN_GAP_MS - 2000);
    expect(signs.flowingSince).toBeNull();
    give(topology);
    await pass(1);
    expect(signs.flowingSince).toBe(6500);
  });

  it('that have stopped without a goodbye are missed, until another life of the same name gives one', async () => {
    const echo = give(topology);
    const encode = (one: Living): Uint8Array => new TextEncoder().encode(JSON.stringify({ ...one, leaving: false }));
    bus.publish(SIGNS_OF_LIFE, encode(gateway));
    await pass(SILENT_MS / 1000 - 1);
    expect([signs.missed(), signs.living('link-gateway')]).toEqual([[], [expect.objectContaining(gateway)]]);
    await pass(1);
    expect([signs.missed(), signs.living('link-gateway')]).toEqual([[{ ...gateway, since: 0 }], []]);
    bus.publish(SIGNS_OF_LIFE, encode({ ...gateway, id: 'a.00000002' }));
    await pass(1);
    expect(signs.missed()).toEqual([]);
    // No process is missed while no signs are heard at all.
    bus.publish(SIGNS_OF_LIFE, encode({ ...gateway, name: 'b', id: 'b.00000001' }));
    await pass(2);
    echo.stop();
    await pass(10);
    expect(signs.missed()).toEqual([]);
    // The first process's sign still counts for itself: two processes of one name must not hide each other.
    expect(signs.lastSign(gateway.id)).toBe(0);
  });

  it('that end with a goodbye are not missed', async () => {
    give(topology);
    give(gateway).stop();
    await pass(2 * (SILENT_MS / 1000));
    expect(signs.missed()).toEqual([]);
    expect(signs.lastSign(gateway.id)).toBeUndefined();
  });

  it('come until it is stopped; then one says goodbye, and only one', async () => {
    const said: boolean[] = [];
    bus.subscribe(SIGNS_OF_LIFE, (_, data) => said.push(JSON.parse(Buffer.from(data).toString()).leaving));
    const unstarted = new SignOfLife(() => gateway, { bus, clock });
    unstarted.stop();
    const sign = give(gateway);
    await pass(1);
    sign.stop();
    sign.stop();
    await pass(3);
    expect([said, clock.pending]).toEqual([[false, false, true], 0]);
  });

  it('cannot be given on a bus that is closed, which harms nobody', async () => {
    const sign = give(gateway);
    await bus.close();
    clock.advance(1000);
    sign.stop();
    expect(clock.pending).toBe(0);
  });

  it('are not heard before the start and after the stop, and once only between them', async () => {
    const later = new SignsOfLife({ bus, clock });
    give(gateway);
    await delivered();
    expect(later.lastSign(gateway.id)).toBeUndefined();
    later.start();
    later.start();
    await pass(1);
    expect(later.lastSign(gateway.id)).toBe(1000);
    later.stop();
    await pass(1);
    expect(later.lastSign(gateway.id)).toBe(1000);
    later.start();
    await pass(1);
    expect(later.lastSign(gateway.id)).toBe(3000);
  });

  it('have an id and a name, not empty and not too long', async () => {
    const isHeard = async (more: Partial<Living>) => {
      const one = { ...gateway, ...more };
      bus.publish(SIGNS_OF_LIFE, new TextEncoder().encode(JSON.stringify({ ...one, leaving: false })));
      await delivered();
      return signs.lastSign(one.id) !== undefined;
    };
    const [id, name] = ['i'.repeat(256), 'n'.repeat(300)];
    expect([await isHeard({ id: '' }), await isHeard({ id: `${id}i` }), await isHeard({ id })]).toEqual([
      false,
      false,
      true,
    ]);
    const [a, b, c] = ['a', 'b', 'c'];
    expect([
      await isHeard({ id: a, name: '' }),
      await isHeard({ id: b, name: `${name}n` }),
      await isHeard({ id: c, name }),
    ]).toEqual([false, false, true]);
  });

  it('tell who lives for less than five seconds', async () => {
    give(topology);
    bus.publish(SIGNS_OF_LIFE, new TextEncoder().encode(JSON.stringify({ ...gateway, leaving: false })));
    await delivered();
    clock.advance(4999);
    expect(signs.living('link-gateway')).toHaveLength(1);
    clock.advance(1);
    expect([signs.living('link-gateway'), signs.living('volconf')]).toEqual([[], []]);
  });

  it('that cannot be read are ignored', async () => {
    bus.publish(SIGNS_OF_LIFE, new Uint8Array([0xff]));
    bus.publish(SIGNS_OF_LIFE, new TextEncoder().encode('{"kind":"king","id":"x","name":"x","leaving":false}'));
    await delivered();
    expect(signs.flowingSince).toBeNull();
  });
});

// Limits: gateways/signs-of-life.ts MAX_SIGNS
it('of 16,384 processes are kept, and the process that has been silent for longest goes first', async () => {
  const clock = new FakeClock();
  const bus = new InProcessBus({ onError: (error) => expect.unreachable(String(error)) });
  const signs = new SignsOfLife({ bus, clock });
  signs.start();
  const say = (n: number) =>
    bus.publish(
      SIGNS_OF_LIFE,
      Buffer.from(JSON.stringify({ ...gateway, id: `g${n}.00000001`, name: `g${n}`, leaving: false })),
    );
  for (let n = 0; n < 16_384; n++) say(n);
  await delivered();
  expect(signs.lastSign('g0.00000001')).toBeDefined();
  say(16_384);
  await delivered();
  expect([0, 1, 16_384].map((n) => signs.lastSign(`g${n}.00000001`) !== undefined)).toEqual([false, true, true]);
});
