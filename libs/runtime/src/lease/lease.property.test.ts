import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Fate, FaultyKv } from '../bus/in-process/faulty-kv.ts';
import { InProcessKeyValue } from '../bus/in-process/in-process-kv.ts';
import type { Clock, Timer } from '../clock.ts';
import { FakeClock } from '../fake-clock.ts';
import { Lease } from './lease.ts';

const TTL = 1000;

/**
 * A host's clock, compared with real time: another rate, another zero, and pauses during which the process does not
 * run.
 */
class HostClock implements Clock {
  readonly #real: FakeClock;
  readonly #rate: number;
  readonly #offset: number;
  #paused = false;
  readonly #due: (() => void)[] = [];

  constructor(real: FakeClock, { rate, offset }: { rate: number; offset: number }) {
    this.#real = real;
    this.#rate = rate;
    this.#offset = offset;
  }

  now(): number {
    return this.#real.now() * this.#rate + this.#offset;
  }

  wall(): number {
    return this.#real.wall();
  }

  after(ms: number, fn: () => void): Timer {
    let cancelled = false;
    const run = (): void => {
      if (!cancelled) {
        fn();
      }
    };
    const timer = this.#real.after(ms / this.#rate, () => (this.#paused ? this.#due.push(run) : run()));
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    for (const run of this.#due.splice(0)) {
      run();
    }
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const fate: fc.Arbitrary<Fate> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Fate>({ kind: 'ok' }) },
  { weight: 2, arbitrary: fc.constantFrom<Fate>({ kind: 'fail' }, { kind: 'lost' }, { kind: 'mute' }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('slow' as const, 'late' as const),
      delayMs: fc.integer({ min: 1, max: 3 * TTL }),
    }),
  },
);

const action = fc.record({
  afterMs: fc.integer({ min: 0, max: TTL }),
  who: fc.nat(2),
  what: fc.constantFrom('pause', 'resume', 'resume', 'restart', 'raise', 'stepDown', 'nothing'),
});

const host = fc.record({
  rate: fc.integer({ min: 900, max: 1100 }).map((n) => n / 1000),
  offset: fc.integer({ min: 0, max: 1_000_000 }),
  fates: fc.array(fate, { minLength: 1, maxLength: 30 }),
});

interface Contender {
  clock: HostClock;
  lease: Lease;
  paused: boolean;
}

it('has at most one valid holder at any real time, and epochs rise strictly from holder to holder', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(host, { minLength: 3, maxLength: 3 }),
      fc.array(action, { maxLength: 40 }),
      async (hosts, actions) => {
        const real = new FakeClock();
        const store = new InProcessKeyValue({ onError: (error) => expect.unreachable(String(error)) });
        let healed = false;
        let nonces = 0;

        const newLease = (index: number, clock: HostClock, next: () => Fate): Lease => {
          const nonce = ++nonces / 4096;
          const lease = new Lease(
            { role: 'r', address: `h${index}:1`, ttlMs: TTL },
            { kv: new FaultyKv(store, { clock: real, next }), clock, random: () => nonce },
          );
          lease.start();
          return lease;
        };
        const nexts = hosts.map(({ fates }) => {
          let calls = 0;
          return (): Fate => (healed ? { kind: 'ok' } : fates[calls++ % fates.length]!);
        });
        const contenders: Contender[] = hosts.map((spec, index) => {
          const clock = new HostClock(real, spec);
          return { clock, lease: newLease(index, clock, nexts[index]!), paused: false };
        });
        const stopping: Lease[] = [];

        let last: { lease: Lease; epoch: number } | null = null;
        const check = (): void => {
          const valid = [...contenders.map(({ lease }) => lease), ...stopping].filter((lease) => lease.isValid());
          expect(valid.length).toBeLessThanOrEqual(1);
          const [lease] = valid;
          if (lease !== undefined) {
            if (last !== null && last.lease !== lease) {
              expect(lease.epoch).toBeGreaterThan(last.epoch);
            } else if (last !== null) {
              expect(lease.epoch).toBeGreaterThanOrEqual(last.epoch);
            }
            last = { lease, epoch: lease.epoch };
          }
        };
        const advance = async (ms: number): Promise<void> => {
          const end = real.now() + ms;
          // Calls made at this very moment get their answers before time goes on.
          await settle();
          check();
          for (let next = real.nextAt(); next !== null && next <= end; next = real.nextAt()) {
            real.advance(next - real.now());
            check();
            await settle();
            check();
          }
          real.advance(end - real.now());
          check();
        };

        await settle();
        for (const { afterMs, who, what } of actions) {
          await advance(afterMs);
          const contender = contenders[who]!;
          switch (what) {
            case 'pause':
              contender.clock.pause();
              break;
            case 'resume':
              contender.clock.resume();
              break;
            case 'restart':
              stopping.push(contender.lease);
              contender.lease.stop().catch((error) => expect.unreachable(String(error)));
              contender.lease = newLease(who, contender.clock, nexts[who]!);
              break;
            case 'stepDown':
              contender.lease.stepDown(2 * TTL);
              break;
            case 'raise':
              contender.lease.raiseEpoch(contender.lease.epoch + 3).catch((error) => expect.unreachable(String(error)));
              break;
          }
          await settle();
          check();
        }

        healed = true;
        for (const { clock } of contenders) {
          clock.resume();
        }
        await advance(12 * TTL);
        expect(contenders.filter(({ lease }) => lease.isValid()).length).toBe(1);
      },
    ),
    { numRuns: 150 },
  );
});
