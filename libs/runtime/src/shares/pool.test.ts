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

describe('what a pool shows', () => {
  it('of a principal, whether or not it holds anything', () => {
    const { pool } = new World(10, 4);
    expect([pool.heldBy('a'), pool.held, pool.most, pool.first]).toEqual([0, 0, 0, '']);
    const [one, two] = [pool.open('a', 'a1'), pool.open('a', 'a2')];
    expect([pool.heldBy('a'), one.weight, one.ofPrincipal]).toEqual([0, 0, 0]);
    pool.take(one);
    pool.take(two, 2);
    expect([pool.heldBy('a'), one.weight, two.weight, one.ofPrincipal, pool.held]).toEqual([3, 1, 2, 3, 3]);
    pool.give(two);
    expect([two.weight, two.ofPrincipal]).toEqual([1, 2]);
  });

  it('of a limit that would be met: nobody gives way, and nothing is reported', () => {
    const world = new World(5, 3);
    world.take('a1', 3);
    world.take('b1', 2);
    expect([world.pool.peek('a'), world.pool.peek('b'), world.pool.peek('c'), world.pool.peek('c', 3)]).toEqual([
      'share',
      'total',
      null,
      'total',
    ]);
    expect(world.pool.peek('d', 4)).toBe('share');
    world.pool.give(world.of('b1'));
    expect([world.pool.peek('b'), world.pool.peek('b', 2)]).toEqual([null, 'total']);
    expect([world.evicted, world.limits, world.pool.limits]).toEqual([[], [], 0]);
  });

  it('of a limit that is met by a call whose holder is not there yet', () => {
    const world = new World(5, 3);
    world.take('a1', 3);
    world.take('b1', 2);
    expect(world.pool.refusal('a')).toBe('share');
    expect([world.pool.refusal('b'), world.pool.refusal('c', 3)]).toEqual(['total', 'total']);
    expect(world.limits).toMatchObject([
      { bound: 'share', principal: 'a', held: 3, limit: 3 },
      { bound: 'total', principal: 'b', held: 2, limit: 5 },
      { bound: 'total', principal: 'c', held: 0, limit: 5 },
    ]);
    expect(world.pool.refusal('c')).toBeNull();
    expect([world.evicted, world.pool.limits]).toEqual([['a1'], 4]);
  });
});

describe('holders that give way', () => {
  it('are of equal ones the latest, of the latest principal', () => {
    const world = new World(4, 2);
    for (const holder of ['a1', 'a2', 'b1', 'b2']) world.take(holder);
    expect(world.take('c1')).toBeNull();
    expect(world.evicted).toEqual(['b2']);
  });

  it('are asked once more by the next principal only: one that holds on ends the search', () => {
    const asked: string[] = [];
    const pool = new Pool<string>(
      { resource: 'things', total: 2, share: 2 },
      { evict: (holder) => void asked.push(holder), limited: () => {} },
    );
    pool.take(pool.open('a', 'a1'), 2);
    expect(pool.take(pool.open('b', 'b1'))).toBe('total');
    expect(asked.splice(0)).toEqual(['a1']);
    expect([pool.evictMost(), asked, pool.held]).toEqual([false, ['a1'], 2]);
    pool.count(pool.open('b', 'b2'), 3);
    asked.length = 0;
    pool.enforce();
    // Once because of the share, once because of the total.
    expect(asked).toEqual(['b2', 'b2']);
  });

  it('do so when an amount that is set is one more than a limit, not when it is at the limit or falls', () => {
    const world = new World(10, 6);
    const [a, b] = [world.of('a1'), world.of('b1')];
    world.pool.set(a, 6);
    world.pool.set(b, 4);
    expect(world.evicted).toEqual([]);
    world.pool.count(b, 3);
    world.pool.set(b, 6);
    world.pool.set(b, 6);
    expect([world.evicted, world.pool.held]).toEqual([[], 12]);
    world.pool.set(a, 5);
    expect(world.evicted).toEqual([]);
    world.pool.set(a, 7);
    expect(world.evicted).toEqual(['a1']);
    world.pool.set(a, 3);
    expect([world.pool.held, a.weight]).toEqual([6, 0]);
  });
});
