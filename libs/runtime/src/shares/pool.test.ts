import { describe, expect, it } from 'vitest';
import { type Holding, Pool, type PoolLimit } from './pool.ts';

class World {
  readonly limits: PoolLimit[] = [];
  readonly evicted: string[] = [];
  readonly pool: Pool<string>;
  readonly #holdings = new Map<string, Holding<string>>();

  constructor(total: number, share: number) {
    this.pool = new Pool<string>(
      { resource: 'things', total, share },
      {
        evict: (holder) => {
          this.evicted.push(holder);
          this.pool.close(this.of(holder));
          this.#holdings.delete(holder);
        },
        limited: (limit) => this.limits.push(limit),
      },
    );
  }

  /** The holder of this name; its first letter is the principal: `a1` belongs to `a`. */
  of(holder: string): Holding<string> {
    let holding = this.#holdings.get(holder);
    if (holding === undefined) {
      holding = this.pool.open(holder[0]!, holder);
      this.#holdings.set(holder, holding);
    }
    return holding;
  }

  take(holder: string, amount = 1): string | null {
    return this.pool.take(this.of(holder), amount);
  }
}

describe('a pool', () => {
  it('gives no principal more than its share, over however many holders', () => {
    const world = new World(10, 4);
    expect(['a1', 'a2', 'a3', 'a1', 'a4'].map((holder) => world.take(holder))).toEqual([
      null,
      null,
      null,
      null,
      'share',
    ]);
    expect(world.limits).toEqual([{ resource: 'things', bound: 'share', principal: 'a', held: 4, limit: 4 }]);
    world.pool.give(world.of('a1'));
    expect(world.take('a4')).toBeNull();
  });

  it('lets the largest holder of the principal with most give way to a principal with less', () => {
    const world = new World(10, 8);
    world.take('a1', 2);
    world.take('a2', 5);
    world.take('b1', 3);
    expect(world.take('c1')).toBeNull();
    expect(world.evicted).toEqual(['a2']);
    expect(world.pool.held).toBe(6);
    expect(world.limits).toEqual([{ resource: 'things', bound: 'total', principal: 'a', held: 7, limit: 10 }]);
  });

  it('refuses a principal that would hold as much as the one with most', () => {
    const world = new World(4, 3);
    world.take('a1', 2);
    world.take('b1', 2);
    expect(world.take('a2')).toBe('total');
    expect(world.take('c1')).toBeNull();
    expect(world.evicted).toEqual(['b1']);
  });

  it('for amounts that are only counted afterwards, takes the most from the principal with most', () => {
    const world = new World(100, 60);
    world.pool.set(world.of('a1'), 30);
    world.pool.set(world.of('a2'), 31);
    expect(world.evicted).toEqual(['a2']);
    world.pool.set(world.of('b1'), 50);
    world.pool.set(world.of('c1'), 40);
    expect(world.evicted).toEqual(['a2', 'b1']);
    expect(world.pool.held).toBe(70);
  });

  it('forgets principals that hold nothing any more', () => {
    const world = new World(10, 5);
    world.take('a1');
    const holding = world.of('a1');
    expect(world.pool.open('a', 'a2').share).toBe(holding.share);
    const alone = world.pool.open('b', 'b1');
    world.pool.close(alone);
    world.pool.close(alone);
    expect(world.pool.open('b', 'b2').share).not.toBe(alone.share);
    expect(world.pool).toMatchObject({ held: 1, most: 1, first: 'a' });
    world.pool.close(holding);
    expect(world.pool.first).toBe('b');
    const empty = new World(10, 5);
    empty.take('a1');
    empty.pool.close(empty.of('a1'));
    expect(empty.pool).toMatchObject({ held: 0, most: 0, first: '' });
  });

  it('counts what is held beyond the limits, too, until they are enforced; of a holder that is closed nothing', () => {
    const world = new World(10, 4);
    const holding = world.of('a1');
    world.pool.count(holding, 6);
    expect([world.pool.held, world.evicted]).toEqual([6, []]);
    world.pool.count(holding, -1);
    expect(world.pool.held).toBe(5);
    world.pool.enforce();
    expect([world.pool.held, world.evicted]).toEqual([0, ['a1']]);
    world.pool.count(holding, 3);
    expect(world.pool.held).toBe(0);
  });

  it('finds nobody to give way as long as nobody holds anything', () => {
    const world = new World(10, 5);
    expect(world.pool.evictMost()).toBe(false);
    world.of('a1');
    expect(world.pool.evictMost()).toBe(false);
    expect([world.evicted, world.limits, world.pool.limits]).toEqual([[], [], 0]);
  });

  it('knows which principal holds most, whatever happens', () => {
    const world = new World(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    let state = 1;
    const random = (below: number) => {
      state = (state * 48_271) % 0x7fffffff;
      return state % below;
    };
    const held = new Map<string, number>();
    for (let i = 0; i < 5000; i++) {
      const holder = `${'abcdefghij'[random(10)]}${random(4)}`;
      const weight = random(1000);
      world.pool.set(world.of(holder), weight);
      held.set(holder, weight);
      const of = new Map<string, number>();
      for (const [name, much] of held) of.set(name[0]!, (of.get(name[0]!) ?? 0) + much);
      expect(world.pool.most).toBe(Math.max(...of.values()));
    }
  });
});
