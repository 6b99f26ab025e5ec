import { systemClock, type Timer } from '@spanmesh/runtime/clock';
import type { Random } from '@spanmesh/runtime/random';
import type { SimPeer } from './peer.ts';

/** A closed span is offered again within this part of `meanMs`. */
const CLOSED_PART = 1 / 4;

/**
 * Closes and reopens the spans of one peer at random. A span stays open for `meanMs` on average (the times are
 * exponentially distributed, like those between independent events).
 */
export class Churn {
  readonly #peer: SimPeer;
  readonly #meanMs: number;
  readonly #random: Random;
  readonly #timers = new Set<Timer>();

  constructor(
    { meanMs }: { readonly meanMs: number },
    { peer, random }: { readonly peer: SimPeer; readonly random: Random },
  ) {
    this.#meanMs = meanMs;
    this.#peer = peer;
    this.#random = random;
  }

  start(): void {
    for (let n = 0; n < this.#peer.spanCount; n++) this.#closeLater(n);
  }

  stop(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  #closeLater(n: number): void {
    this.#after(-Math.log(1 - this.#random()) * this.#meanMs, () => {
      this.#peer.withdraw(n);
      this.#after(this.#random() * this.#meanMs * CLOSED_PART, () => {
        this.#peer.offer(n);
        this.#closeLater(n);
      });
    });
  }

  #after(ms: number, fn: () => void): void {
    const timer = systemClock.after(ms, () => {
      this.#timers.delete(timer);
      fn();
    });
    this.#timers.add(timer);
  }
}
