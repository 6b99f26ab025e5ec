import type { Attacker } from './attacker.ts';

/**
 * How the attacker is kept from others' share.
 * `refused`: he is told no, or closed, and a line of the log says so and names him (his address or user); `says` is in that line.
 * `counted`: he is, but lines about that are fewer than the attacks of this run; `metric` is the beginning of a sample that rises.
 * `absorbed`: he is served, in his turns only; there is nothing to refuse. `why`: what bounds him.
 */
export type Stop =
  | { readonly kind: 'refused'; readonly says: string }
  | { readonly kind: 'counted'; readonly metric: string }
  | { readonly kind: 'absorbed'; readonly why: string };

/** One way for one principal to take what is others'. */
export interface Attack {
  readonly name: string;
  /** One line: what he does. */
  readonly about: string;
  readonly stop: Stop;
  /** Attacks until `attacker.signal` says that this turn is over; what it has opened is closed for it. */
  run(attacker: Attacker): Promise<void>;
}
