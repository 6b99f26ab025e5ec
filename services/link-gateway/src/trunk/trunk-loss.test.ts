import { BLK_READ, BLK_WRITE, CREATE, DELETE } from '@spanmesh/dmsg/command';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import { until } from '@spanmesh/runtime/patience.fixture';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RouteTransaction } from '../routing/trunks.ts';
import { drop, TestPair, turns } from './trunk.fixture.ts';

/** What each transaction has received at one end: messages (numbered in `error`), and its end. */
class Ledger {
  readonly #seen = new Map<Transaction, { next: number; ends: number }>();
  /** Violations: a message out of order or after the end, or a second end. */
  readonly wrong: string[] = [];

  get size(): number {
    return this.#seen.size;
  }

  message(tx: Transaction, frame: Pick<Frame, 'cmd' | 'error'>): void {
    const seen = this.#of(tx);
    if (seen.ends > 0) this.wrong.push('message after the end');
    const base = frame.cmd & 0x00ffffff;
    if (base === BLK_WRITE || (frame.cmd & CREATE) !== 0) {
      if (base === BLK_WRITE && frame.error !== seen.next) this.wrong.push(`${frame.error} came, not ${seen.next}`);
      if (base === BLK_WRITE) seen.next++;
    }
    if ((frame.cmd & DELETE) !== 0) this.#end(seen);
  }

  lost(tx: Transaction): void {
    this.#end(this.#of(tx));
  }

  /** Transactions without an end. */
  open(): number {
    return [...this.#seen.values()].filter(({ ends }) => ends === 0).length;
  }

  begin(tx: Transaction): void {
    this.#of(tx);
  }

  #of(tx: Transaction) {
    let seen = this.#seen.get(tx);
    if (seen === undefined) {
      seen = { next: 0, ends: 0 };
      this.#seen.set(tx, seen);
    }
    return seen;
  }

  #end(seen: { ends: number }): void {
    if (++seen.ends > 1) this.wrong.push('a second end');
  }
}

/** Two gateways that record what their transactions receive. A opens transactions, B answers as the test says. */
class Scene {
  readonly pair = new TestPair();
  readonly atA = new Ledger();
  readonly atB = new Ledger();
  readonly routes = new Set<RouteTransaction>();
  /** Transactions open at A, with the number of the next message. */
  readonly own: { tx: Transaction; next: number }[] = [];
  wires!: Awaited<ReturnType<TestPair['wired']>>;
  readonly #back = new Map<Transaction, number>();

  readonly #handler = {
    onMessage: (tx: Transaction, frame: Frame) => {
      this.atA.message(tx, frame);
      if ((frame.cmd & DELETE) !== 0) tx.endpoint.end(tx);
    },
    onLost: (tx: Transaction) => this.atA.lost(tx),
  };

  async start(): Promise<void> {
    await this.pair.start({ listed: false });
    this.wires = await this.pair.wired();
    this.pair.list();
    const { terminal } = this.pair.b;
    terminal.onMessage = (tx, frame) => {
      this.atB.message(tx, frame);
      if ((frame.cmd & DELETE) !== 0) {
        tx.endpoint.end(tx);
      } else {
        const next = this.#back.get(tx) ?? 0;
        this.#back.set(tx, next + 1);
        tx.endpoint.send(tx, BLK_WRITE, next);
      }
    };
    const { onLost } = terminal.handler;
    terminal.handler.onLost = (tx, error) => {
      onLost(tx, error);
      this.atB.lost(tx);
    };
  }

  open(link: number, destination: number): void {
    const key = { gateway: this.pair.b.id, number: link };
    const route = this.pair.a.trunks.route(key, 'circuit', null, destination);
    if (route === null) return;
    this.routes.add(route);
    const tx = route.endpoint.open(BLK_READ, route, this.#handler);
    this.atA.begin(tx);
    this.own.push({ tx, next: 0 });
  }

  send(which: number, bytes: number): void {
    const one = this.own[which % Math.max(1, this.own.length)];
    if (one === undefined) return;
    const { tx, next } = one;
    if (tx.endpoint.send(tx, BLK_WRITE, next, null, bytes === 0 ? null : new Uint8Array(bytes))) one.next++;
  }

  end(which: number): void {
    if (this.own.length === 0) return;
    const { tx } = this.own.splice(which % this.own.length, 1)[0]!;
    tx.endpoint.end(tx);
  }

  cut(): void {
    this.wires.toA.cut();
    this.wires.toB.cut();
  }

  /** Checks what must hold once everything has ended. */
  async check(): Promise<void> {
    this.pair.a.other = null;
    this.pair.b.other = null;
    this.cut();
    await this.pair.stop();
    this.wires.toA.stop();
    this.wires.toB.stop();
    expect([this.atA.wrong, this.atB.wrong]).toEqual([[], []]);
    expect([this.atA.open(), this.atB.open()]).toEqual([0, 0]);
    const { a, b } = this.pair;
    expect(a.terminal.ended.length).toBe(this.routes.size);
    expect(new Set(a.terminal.ended)).toEqual(this.routes);
    expect(b.terminal.ended.length).toBe(b.terminal.opened.length);
    expect(new Set(b.terminal.ended).size).toBe(b.terminal.opened.length);
    for (const { trunks } of [a, b]) {
      expect(trunks.counts()).toMatchObject({ established: 0, routes: 0, transactions: 0 });
      expect(trunks.metrics.lost.internal + trunks.metrics.lost['protocol-error']).toBe(0);
    }
  }
}

describe('a trunk that is lost', () => {
  it('after any byte: each transaction has received a prefix, in order, and one end', async () => {
    let lostEarly = 0;
    let lostLate = 0;
    await fc.assert(
      fc.asyncProperty(fc.nat(9000), async (cutAfter) => {
        const scene = new Scene();
        await scene.start();
        scene.wires.toB.cutAfter = cutAfter;
        for (let link = 0; link < 3; link++) scene.open(link, 0);
        for (let n = 0; n < 12; n++) scene.send(n, n * 40);
        scene.end(0);
        const { b } = scene.pair;
        await until(() => scene.wires.toB.passed >= cutAfter || b.terminal.messages >= 16);
        if (b.terminal.messages >= 16) lostLate++;
        else lostEarly++;
        await turns(5);
        await scene.check();
      }),
      { numRuns: 120 },
    );
    expect(Math.min(lostEarly, lostLate)).toBeGreaterThan(0);
  });

  it('at any moment: messages of each transaction are in order, each has one end, and nothing is kept', async () => {
    const action = fc.oneof(
      { weight: 4, arbitrary: fc.record({ what: fc.constant('open' as const), n: fc.nat(3), m: fc.nat(2) }) },
      { weight: 8, arbitrary: fc.record({ what: fc.constant('send' as const), n: fc.nat(9), m: fc.nat(70_000) }) },
      { weight: 2, arbitrary: fc.record({ what: fc.constant('end' as const), n: fc.nat(9), m: fc.nat() }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('drop' as const), n: fc.nat(9), m: fc.nat() }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('drop-far' as const), n: fc.nat(9), m: fc.nat() }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('cut' as const), n: fc.nat(), m: fc.nat() }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('gone' as const), n: fc.nat(), m: fc.nat() }) },
      { weight: 4, arbitrary: fc.record({ what: fc.constant('turns' as const), n: fc.nat(8), m: fc.nat() }) },
      { weight: 2, arbitrary: fc.record({ what: fc.constant('time' as const), n: fc.nat(2500), m: fc.nat() }) },
    );
    let reached = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 20, maxLength: 60 }), async (actions) => {
        const scene = new Scene();
        await scene.start();
        const { a, b } = scene.pair;
        let epoch = 0;
        for (const { what, n, m } of actions) {
          if (what === 'open') scene.open(n, m);
          else if (what === 'send') scene.send(n, m);
          else if (what === 'end') scene.end(n);
          else if (what === 'drop') {
            const all = [...scene.routes].filter((route) => !route.ended);
            if (all.length > 0) drop(all[n % all.length]!);
          } else if (what === 'drop-far') {
            const all = b.terminal.opened.filter(({ route }) => !route.ended);
            if (all.length > 0) drop(all[n % all.length]!.route);
          } else if (what === 'cut') scene.cut();
          else if (what === 'gone') {
            a.trunks.gone([b.id]);
            // A leader of the next epoch counts it as alive.
            for (const end of [a, b]) end.trunks.welcomed(++epoch);
            scene.pair.list();
          } else if (what === 'turns') await turns(n);
          else scene.pair.clock.advance(n);
        }
        await turns(5);
        reached += scene.atB.size;
        await scene.check();
      }),
      { numRuns: 100 },
    );
    expect(reached).toBeGreaterThan(100);
  });
});
