import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { describe, expect, it } from 'vitest';
import { Isolation } from './isolation.ts';

const TTL_MS = 2000;

/** A leader that no gateway reaches, while one gives signs of life. */
function cutOff() {
  const clock = new FakeClock();
  clock.advance(10_000);
  const gateway = {
    name: 'a',
    boot: '00000001',
    firstBoot: '00000001',
    serviceAddress: '',
    version: '',
    draining: false,
  };
  const world = {
    clock,
    registered: [gateway],
    living: ['a.00000001'],
    leadingSince: clock.now() as number | undefined,
    reachedAt: Number.NEGATIVE_INFINITY,
  };
  const isolation = new Isolation(
    { ttlMs: TTL_MS },
    {
      clock,
      presence: {
        gateways: () => world.registered,
        living: () => world.living.map((id) => ({ kind: 'link-gateway', id, name: 'a' })),
      },
      leadingSince: () => world.leadingSince,
      reachedAt: () => world.reachedAt,
    },
  );
  return { world, isolation };
}

describe('a leader', () => {
  it('is cut off when gateways give signs of life and none has reached it for two ttl', () => {
    const { world, isolation } = cutOff();
    expect(isolation.isCutOff).toBe(false);
    world.clock.advance(2 * TTL_MS - 1);
    expect(isolation.isCutOff).toBe(false);
    world.clock.advance(1);
    expect(isolation.isCutOff).toBe(true);
  });

  it.each<[string, (world: ReturnType<typeof cutOff>['world']) => void]>([
    ['a gateway has reached it since', (world) => (world.reachedAt = world.clock.now())],
    ['its lease has held again for a moment', (world) => (world.leadingSince = world.clock.now())],
    ['its lease does not hold', (world) => (world.leadingSince = undefined)],
    ['no gateway gives signs of life', (world) => (world.living = [])],
    ['no gateway has joined', (world) => (world.registered = [])],
    ['only others than those that have joined give signs of life', (world) => (world.living = ['b.00000001'])],
  ])('is not cut off when %s', (_, change) => {
    const { world, isolation } = cutOff();
    expect(isolation.isCutOff).toBe(false);
    world.clock.advance(2 * TTL_MS);
    change(world);
    expect(isolation.isCutOff).toBe(false);
  });

  it('has two ttl from the moment when the first gateway gives signs of life', () => {
    const { world, isolation } = cutOff();
    world.living = [];
    world.clock.advance(60_000);
    expect(isolation.isCutOff).toBe(false);
    world.living = ['a.00000001'];
    expect(isolation.isCutOff).toBe(false);
    world.clock.advance(2 * TTL_MS);
    expect(isolation.isCutOff).toBe(true);
  });
});
