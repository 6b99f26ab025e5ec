import type { Attacker } from './attacker.ts';

/**
 * How the installation keeps an attacker from the share of others.
 * * `refused`: the attacker is refused or disconnected, and a line of the log contains `says` and names the attacker
 *   (address or user).
 * * `counted`: likewise, but there are fewer log lines than attacks in this run; `metric` is the beginning of the name
 *   of a sample that rises.
 * * `absorbed`: the attacker is served, but only in turn with others; there is nothing to refuse. `why`: what limits
 *   the attacker.
 */
export type Stop =
  | { readonly kind: 'refused'; readonly says: string }
  | { readonly kind: 'counted'; readonly metric: string }
  | { readonly kind: 'absorbed'; readonly why: string };

/** One way in which one principal can try to take the share of others. */
export interface Attack {
  readonly name: string;
  /** One line that says what the attacker does. */
  readonly about: string;
  readonly stop: Stop;
  /**
   * Attacks until `attacker.signal` says that this turn is over. The caller then closes everything that the attack has
   * opened.
   */
  run(attacker: Attacker): Promise<void>;
}
