import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { SILENT_MS } from '@spanmesh/runtime/gateways/signs-of-life';
import { describe, expect, it } from 'vitest';
import { Deathwatch } from './deathwatch.ts';

const ID = 'a.00000001';

/** A gateway at the moment when it meets every condition of death. */
function dying() {
  const clock = new FakeClock();
  clock.advance(100_000);
  const began = clock.now();
  const world = {
    clock,
    since: began,
    leadingSince: (began - 50_000) as number | undefined,
    flowingSince: (began - 50_000) as number | null,
    lastSign: (began - 1000) as number | undefined,
    trunk: false,
  };
  const watch = new Deathwatch({
    clock,
    presence: {
      lastSign: () => world.lastSign,
      get flowingSince() {
        return world.flowingSince;
      },
    },
    leadingSince: () => world.leadingSince,
    hasTrunk: () => world.trunk,
  });
  clock.advance(SILENT_MS);
  return { world, watch, isDead: () => watch.isDead({ id: ID, since: world.since }) };
}

describe('a gateway is dead', () => {
  it('if all conditions hold', () => {
    expect(dying().isDead()).toBe(true);
  });

  it('even if it has never given a sign of life', () => {
    const { world, isDead } = dying();
    world.lastSign = undefined;
    expect(isDead()).toBe(true);
  });

  it.each<[string, (world: ReturnType<typeof dying>['world']) => void]>([
    [
      'its stream ended less than 5 s ago',
      (world) => {
        world.since = world.clock.now() - SILENT_MS + 1;
      },
    ],
    [
      'a sign of life came less than 5 s ago',
      (world) => {
        world.lastSign = world.clock.now() - SILENT_MS + 1;
      },
    ],
    [
      'no signs of life come from anybody',
      (world) => {
        world.flowingSince = null;
      },
    ],
    [
      'signs of life have come again for less than 5 s',
      (world) => {
        world.flowingSince = world.clock.now() - SILENT_MS + 1;
      },
    ],
    [
      'an attached gateway has a trunk to it',
      (world) => {
        world.trunk = true;
      },
    ],
    [
      'the lease does not hold',
      (world) => {
        world.leadingSince = undefined;
      },
    ],
    [
      'the lease has held again for less than 5 s',
      (world) => {
        world.leadingSince = world.clock.now() - SILENT_MS + 1;
      },
    ],
  ])('not when %s, though all else holds', (_, change) => {
    const { world, isDead } = dying();
    change(world);
    expect(isDead()).toBe(false);
  });
});

it('a trunk or a recent sign of life shows life, an old one does not', () => {
  const { world, watch } = dying();
  expect(watch.showsLife(ID)).toBe(false);
  world.trunk = true;
  expect(watch.showsLife(ID)).toBe(true);
  world.trunk = false;
  world.lastSign = world.clock.now() - SILENT_MS + 1;
  expect(watch.showsLife(ID)).toBe(true);
});
