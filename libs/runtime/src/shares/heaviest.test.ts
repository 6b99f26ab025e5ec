import { describe, expect, it } from 'vitest';
import { Heaviest, type Weighed } from './heaviest.ts';

class Thing implements Weighed {
  readonly born: number;
  weight: number;
  place = -1;
  rank = 0;

  constructor(born: number, weight: number) {
    this.born = born;
    this.weight = weight;
  }
}

function sorted(things: readonly Thing[]): Thing[] {
  return [...things].sort((one, other) => other.weight - one.weight || other.born - one.born);
}

describe('the heaviest', () => {
  it('is found after any changes of weights', () => {
    const heaviest = new Heaviest<Thing>();
    const things: Thing[] = [];
    let state = 7;
    const random = (below: number) => {
      state = (state * 48_271) % 0x7fffffff;
      return state % below;
    };
    for (let i = 0; i < 3000; i++) {
      const what = random(4);
      const one = things[random(things.length + 1)];
      if (one === undefined || what === 0) {
        const added = new Thing(i, random(50));
        things.push(added);
        heaviest.add(added);
      } else if (what === 1) {
        heaviest.remove(one);
        things.splice(things.indexOf(one), 1);
      } else {
        one.weight = random(50);
        heaviest.changed(one);
      }
      expect(heaviest.size).toBe(things.length);
      if (random(3) === 0) expect(heaviest.first).toBe(sorted(things)[0]);
    }
    for (const one of sorted(things)) {
      expect(heaviest.first).toBe(one);
      heaviest.remove(one);
    }
    expect(heaviest.first).toBeUndefined();
  });

  it('keeps its position while its weight swings and nobody asks for the heaviest', () => {
    const heaviest = new Heaviest<Thing>();
    const things = [5, 4, 3].map((weight, born) => new Thing(born, weight));
    for (const one of things) heaviest.add(one);
    const swinging = things[2]!;
    swinging.weight = 9;
    heaviest.changed(swinging);
    const { place } = swinging;
    for (const weight of [0, 9, 1, 8]) {
      swinging.weight = weight;
      heaviest.changed(swinging);
      expect(swinging.place).toBe(place);
    }
    swinging.weight = 0;
    expect(heaviest.first).toBe(things[0]);
    expect(swinging.place).not.toBe(place);
  });

  it('ignores a second removal, and the removal of an entry that was never added', () => {
    const heaviest = new Heaviest<Thing>();
    const [one, other] = [new Thing(1, 1), new Thing(2, 2)];
    heaviest.add(one);
    heaviest.remove(other);
    heaviest.remove(one);
    heaviest.remove(one);
    expect([heaviest.size, one.place]).toEqual([0, -1]);
  });
});
