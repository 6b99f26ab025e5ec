import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { KEEP_ALIVE_MS } from './limits.ts';

/** Watches a trunk: probes it after 2 s of silence, and calls `dead` after 2 s more (architecture.md, "Trunk"). */
export class KeepAlive {
  readonly #clock: Clock;
  readonly #probe: () => void;
  readonly #dead: () => void;
  #heardAt: number;
  #probed = false;
  #timer: Timer | null = null;
  #stopped = false;

  constructor({ clock, probe, dead }: { clock: Clock; probe: () => void; dead: () => void }) {
    this.#clock = clock;
    this.#probe = probe;
    this.#dead = dead;
    this.#heardAt = clock.now();
  }

  start(): void {
    this.#heardAt = this.#clock.now();
    this.#watch(KEEP_ALIVE_MS);
  }

  /** Bytes have come. */
  heard(): void {
    this.#heardAt = this.#clock.now();
    this.#probed = false;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #watch(ms: number): void {
    this.#timer = this.#clock.after(ms, () => this.#check());
  }

  #check(): void {
    if (this.#stopped) return;
    const left = this.#heardAt + KEEP_ALIVE_MS - this.#clock.now();
    if (left > 0) {
      this.#watch(left);
    } else if (!this.#probed) {
      this.#probed = true;
      this.#probe();
      this.#watch(KEEP_ALIVE_MS);
    } else {
      // After this turn's reading: bytes that came while this process was held up must not count as silence.
      setImmediate(() => {
        if (this.#stopped) return;
        if (this.#probed) this.#dead();
        else this.#watch(KEEP_ALIVE_MS);
      });
    }
  }
}
