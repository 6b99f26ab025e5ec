import type { Clock } from '@spanmesh/runtime/clock';
import type { GatewayView } from '../gateways/gateway-view.ts';
import { HANGUP_RETRY_MS } from '../limits.ts';
import { comparePlaced, type Leftover, type Placed, type Target } from './target.ts';

export interface HangUpsDependencies {
  readonly clock: Clock;
  readonly gateways: GatewayView;
  /** Orders may be given: asked before each (architecture.md, "Lease"). */
  readonly mayOrder: () => boolean;
  /** A gateway has hung up, or its hang-up has failed with `error` and is ordered again. */
  readonly answered: (target: Target, error?: unknown) => void;
}

/** What earlier orders may have left of targets, and the orders to end it. */
export class HangUps {
  /** Hang-ups ordered so far. */
  ordered = 0;
  readonly #epoch: number;
  readonly #deps: HangUpsDependencies;

  constructor({ epoch }: { epoch: number }, deps: HangUpsDependencies) {
    this.#epoch = epoch;
    this.#deps = deps;
  }

  /** The connection of this order is to be hung up. False: it is gone with its gateway, or a later leftover there counts for both. */
  leaveBehind(target: Target, placed: Placed, reason: string): boolean {
    if (this.#deps.gateways.port(placed.gateway) === null) return false;
    const known = target.leftovers.get(placed.gateway);
    if (known !== undefined && comparePlaced(placed, known.placed) <= 0) return false;
    target.leftovers.set(placed.gateway, { placed, reason, asked: false, retryAt: 0 });
    return true;
  }

  /** Orders the hang-ups that are due. */
  step(target: Target): void {
    for (const leftover of target.leftovers.values()) this.#hangUp(target, leftover);
  }

  /** When the next hang-up is due, monotonic; infinite: none waits for a time. */
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
    // Under our epoch: what an earlier leader ordered is of a lower one, whatever its generation.
    port.hangup({ owner, epoch: this.#epoch, generation: placed.generation, reason }).then(
      () => {
        // Meanwhile there may be a later one at the same gateway.
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
