import type { Pressure } from '@spanmesh/dmsg-socket/stream/pressure';
import type { Holding } from '@spanmesh/runtime/shares/pool';
import { Turns } from '@spanmesh/runtime/shares/turns';
import { Turn } from '@spanmesh/runtime/turn';
import type { ShareHolder } from '../shares/gateway-shares.ts';
import {
  HANDLED_PER_TURN,
  HANDLED_UNNOTICED,
  READ_PER_TURN_BYTES,
  READ_TURN_MS,
  RESUMED_PER_TURN,
} from '../shares/limits.ts';

/**
 * Fair reading. A principal from which more than READ_PER_TURN_BYTES were read in one turn waits while others are read,
 * too. In each further turn of the event loop a few connections that wait are read again, principals taking turns. A
 * principal that is alone is read as fast as it sends, as long as its messages are for others. While no connection
 * waits a turn lasts READ_TURN_MS instead: a setImmediate for each turn of the event loop would be one for every
 * message.
 *
 * Messages for the gateway itself (LNK_SPANs, whether taken or refused) cost ten times as much as messages that are
 * passed on, and one socket alone may bring megabytes of them in a turn of the event loop, in which nothing else goes
 * on. So only HANDLED_PER_TURN of them are handled in a turn of the event loop, whoever brings them.
 */
export class ReadTurns implements Pressure {
  /** Always true: Flow asks only for connections for which `took` has said true. */
  readonly isHigh = true;
  readonly #waiting = new Turns<() => void>();
  readonly #next = new Turn(() => this.#begin());
  #turn = 1;
  /** When the turn began, ms on the monotonic clock. */
  #began = Number.NEGATIVE_INFINITY;
  /** When something was read last. */
  #now = 0;
  /** Principals that were read in this turn, and in the one before. */
  #active = 0;
  #activeBefore = 0;
  /** Messages for the gateway itself in this turn of the event loop. */
  #handled = 0;

  /** Connections that wait for their turn. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * `bytes` were read at `now`, ms on the monotonic clock, with `handled` messages for the gateway itself among them.
   * True: enough for this turn.
   */
  took({ share }: Pick<Holding<ShareHolder>, 'share'>, bytes: number, handled: number, now: number): boolean {
    this.#now = now;
    this.#handled += handled;
    if (this.#handled > HANDLED_UNNOTICED) this.#next.request();
    if (now - this.#began >= READ_TURN_MS) this.#nextTurn();
    if (share.turn !== this.#turn) {
      share.turn = this.#turn;
      share.spent = 0;
      this.#active++;
    }
    share.spent += bytes;
    if (handled > 0 && this.#handled > HANDLED_PER_TURN) return true;
    return share.spent > READ_PER_TURN_BYTES && (this.#active > 1 || this.#activeBefore > 1);
  }

  onceLow(fn: () => void, principal = ''): void {
    this.#waiting.add(principal, fn);
    this.#next.request();
  }

  #nextTurn(): void {
    this.#began = this.#now;
    this.#turn++;
    this.#activeBefore = this.#active;
    this.#active = 0;
  }

  #begin(): void {
    this.#nextTurn();
    this.#handled = 0;
    for (let i = 0; i < RESUMED_PER_TURN; i++) {
      const next = this.#waiting.take();
      if (next === undefined) return;
      next();
    }
    if (this.#waiting.size > 0) this.#next.request();
  }
}
