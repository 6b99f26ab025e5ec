import { type Clock, systemClock } from '../clock.ts';
import { type Logger, Throttle } from '../log/logger.ts';
import type { Metrics } from '../metrics.ts';

/**
 * Version of what the services of an installation say to each other: Attach and everything else on the service port, and the
 * framing of trunks. It rises when an older service could not make sense of a newer one; a field that may be missing is no reason.
 */
export const PROTOCOL_VERSION = 1;
/** Version of a message without one: it is from before there was a field for it. */
const FIRST_VERSION = 1;
/** The same two are logged once in this time, ms. */
const LOG_INTERVAL_MS = 60_000;

/** The version that two services speak to each other, or why they do not. */
export type Agreement =
  | { readonly kind: 'agreed'; readonly version: number }
  | { readonly kind: 'refused'; readonly why: string };

/**
 * The rule: every version speaks its own protocol and the one before, so two that differ by one at most understand each other, in the
 * lower of the two, whichever of them is the server. `theirs`: 0 if they have not said.
 */
export function agree(own: number, theirs: number, who: string): Agreement {
  const said = theirs === 0 ? FIRST_VERSION : theirs;
  if (Math.abs(own - said) <= 1) return { kind: 'agreed', version: Math.min(own, said) };
  const [older, newer] = said < own ? [who, 'this service'] : ['this service', who];
  return {
    kind: 'refused',
    why:
      `This service speaks version ${own} of the protocol between services, ${who} version ${said}: ` +
      `they may differ by one. Upgrade ${older}, or take ${newer} back to the release between.`,
  };
}

/** The rule as one process keeps it: refusals are counted, and logged once in a while. */
export class ProtocolRule {
  readonly own: number;
  /** How often somebody was refused, by what he was: `gateway`, `leader`, … */
  readonly refused: Record<string, number> = {};
  readonly #logger: Logger;
  readonly #throttle: Throttle;

  /** `own`: what this process says that it speaks; another than PROTOCOL_VERSION in tests only. */
  constructor(
    { own = PROTOCOL_VERSION }: { own?: number },
    { logger, clock = systemClock }: { logger: Logger; clock?: Clock },
  ) {
    this.own = own;
    this.#logger = logger;
    this.#throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock });
  }

  /** `role`: one of few words, for the metric. `who`: names them, for people. */
  check(theirs: number, { role, who }: { readonly role: string; readonly who: string }): Agreement {
    const agreement = agree(this.own, theirs, who);
    if (agreement.kind === 'refused') {
      this.refused[role] = (this.refused[role] ?? 0) + 1;
      const { log, suppressed } = this.#throttle.admit(`${role} ${who} ${theirs}`);
      if (log) this.#logger.warn({ own: this.own, theirs, who, suppressed }, agreement.why);
    }
    return agreement;
  }

  register(metrics: Metrics): void {
    metrics.gauge(
      'spanmesh_protocol_version',
      'Version of the protocol between services that is spoken.',
      () => this.own,
    );
    metrics.counter(
      'spanmesh_protocol_refusals_total',
      'Times that another service was refused, or refused us, because its version is too far from ours.',
      () => this.refused,
      'role',
    );
  }
}
