import type { Holding } from '@spanmesh/runtime/shares/pool';
import { Turns } from '@spanmesh/runtime/shares/turns';
import { Turn } from '@spanmesh/runtime/turn';
import type { ShareHolder } from '../shares/gateway-shares.ts';
import { READ_PER_TURN_BYTES, RESUMED_PER_TURN } from '../shares/limits.ts';
import type { Pressure } from './pressure.ts';

/**
 * Fair reading: a principal from which much has been read in one turn of the event loop is not read further while others have something
 * to say, too. From the next turn on a few of its connections are read again, principals taking turns. Who is alone is read as fast as
 * it sends.
 */
export class ReadTurns implements Pressure {
  /** Asked only of those that `took` has found to be over. */
  readonly isHigh = true;
  readonly #waiting = new Turns<() => void>();
  readonly #next = new Turn(() => this.#begin());
  #turn = 1;
  /** Principals that were read in this turn, and in the one before. */
  #active = 0;
  #activeBefore = 0;

  /** Connections that wait for their turn. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** So many bytes were read. True: enough for this turn. */
  took({ share }: Pick<Holding<ShareHolder>, 'share'>, bytes: number): boolean {
    if (share.turn !== this.#turn) {
      share.turn = this.#turn;
      share.spent = 0;
      this.#active++;
      this.#next.request();
    }
    share.spent += bytes;
    return share.spent > READ_PER_TURN_BYTES && (this.#active > 1 || this.#activeBefore > 1);
  }

  onceLow(fn: () => void, principal = ''): void {
    this.#waiting.add(principal, fn);
    this.#next.request();
  }

  #begin(): void {
    this.#turn++;
    this.#activeBefore = this.#active;
    this.#active = 0;
    for (let i = 0; i < RESUMED_PER_TURN; i++) {
      const next = this.#waiting.take();
      if (next === undefined) return;
      next();
    }
    if (this.#waiting.size > 0) this.#next.request();
  }
}
