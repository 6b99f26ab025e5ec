import type { Clock } from '@spanmesh/runtime/clock';
import type { GatewayView } from '../gateways/gateway-view.ts';
import { HANGUP_RETRY_MS } from '../limits.ts';
import { comparePlaced, type Leftover, type Placed, type Target } from './target.ts';

export interface HangUpsDependencies {
  readonly clock: Clock;
  readonly gateways: GatewayView;
  /** Whether orders may be given; asked before each one (architecture.md, "Lease"). */
  readonly mayOrder: () => boolean;
  /** A hang-up was answered; with `error` it has failed and is ordered again. */
  readonly answered: (target: Target, error?: unknown) => void;
}

/** The connections that earlier orders may have left of targets, and the orders to hang them up. */
export class HangUps {
  /** Hang-ups ordered so far. */
  ordered = 0;
  readonly #epoch: number;
  readonly #deps: HangUpsDependencies;

  constructor({ epoch }: { epoch: number }, deps: HangUpsDependencies) {
    this.#epoch = epoch;
    this.#deps = deps;
  }

  /**
   * Notes that the connection of this order must be hung up. False: it is gone with its gateway, or a later leftover
   * there includes it.
   */
  leaveBehind(target: Target, placed: Placed, reason: string): boolean {
    if (this.#deps.gateways.port(placed.gateway) === null) return false;
    const known = target.leftovers.get(placed.gateway);
    if (known !== undefined && comparePlaced(placed, known.placed) <= 0) return false;
    target.leftovers.set(placed.gateway, { placed, reason, asked: false, retryAt: 0 });
    return true;
  }

  /** Orders the target's hang-ups that are due. */
  step(target: Target): void {
    for (const leftover of target.leftovers.values()) this.#hangUp(target, leftover);
  }

  /** When the target's next hang-up is due, by the monotonic clock; infinite: none is. */
  dueAt({ leftovers }: Target): number {
    let at = Number.POSITIVE_INFINITY;
    for (const { asked, retryAt } of leftovers.values()) if (!asked) at = Math.min(at, retryAt);
    return at;
  }

  #hangUp(target: Target, leftover: Leftover): void {
    const { clock, gateways, mayOrder, answered } = this.#deps;
    const { placed, reason } = leftover;
    if (leftover.asked || leftover.retryAt > clock.now()) return;
    const port = gateways.port(placed.gateway);
    if (port === null) {
      target.leftovers.delete(placed.gateway);
      return;
    }
    if (!mayOrder()) {
      leftover.retryAt = clock.now() + HANGUP_RETRY_MS;
      return;
    }
    leftover.asked = true;
    this.ordered++;
    const { owner } = target;
    // With our own epoch, which is above that of earlier leaders' orders, whatever their generations.
    port.hangup({ owner, epoch: this.#epoch, generation: placed.generation, reason }).then(
      () => {
        // Meanwhile a later leftover at the same gateway may have taken its place.
        if (target.leftovers.get(placed.gateway) === leftover) target.leftovers.delete(placed.gateway);
        answered(target);
      },
      (error: unknown) => {
        leftover.asked = false;
        leftover.retryAt = clock.now() + HANGUP_RETRY_MS;
        answered(target, error);
      },
    );
  }
}
