import type { Attacker } from './attacker.ts';

/**
 * How the attacker is kept from others' share.
 * `limited`: he has come to a limit, of `resource`: a line of the log, an event and `spanmesh status` name him (his
 * address or user). `refused`: he is told no, or closed, for what is no limit: a line of the log says so and names him;
 * `says` is in that line. `ordered`: what he was refused is an operator's order: an event names him, with `method`.
 * `absorbed`: nothing is taken from anybody, and there is nothing to refuse: no limit names him. `because`: what bounds
 * him.
 */
export type Stop =
  | { readonly kind: 'limited'; readonly resource: string }
  | { readonly kind: 'refused'; readonly says: string }
  | { readonly kind: 'ordered'; readonly method: string }
  | { readonly kind: 'absorbed'; readonly because: string };

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
