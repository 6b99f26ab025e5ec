import { type Clock, systemClock } from '../clock.ts';
import { type Logger, Throttle } from '../log/logger.ts';
import type { Metrics } from '../metrics.ts';

/**
 * Version of the protocol between the services of an installation: Attach and all else on the service port, and the
 * framing of trunks. It rises when an older service could not understand a newer one; a field that may be missing is no
 * reason.
 */
export const PROTOCOL_VERSION = 1;
/** Version of messages from before there was a field for it. */
const FIRST_VERSION = 1;
/** A refusal of the same process is logged once in this time, ms. */
const LOG_INTERVAL_MS = 60_000;

/** The version that two services speak to each other, or why they do not. */
export type Agreement =
  | { readonly kind: 'agreed'; readonly version: number }
  | { readonly kind: 'refused'; readonly why: string };

/**
 * The rule: every version speaks its own protocol and the one before. So two that differ by at most one understand each
 * other, in the lower version, whichever side is the server. `theirs`: 0 if they have not sent one.
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

/** The rule with counts: refusals are counted, and the same one logged once in a while. */
export class ProtocolRule {
  readonly own: number;
  /** Number of refusals, by the role of the refused process: `gateway`, `leader`, … */
  readonly refused: Record<string, number> = {};
  readonly #logger: Logger;
  readonly #throttle: Throttle;

  /** `own`: the version that this process sends; only tests use another than PROTOCOL_VERSION. */
  constructor(
    { own = PROTOCOL_VERSION }: { own?: number },
    { logger, clock = systemClock }: { logger: Logger; clock?: Clock },
  ) {
    this.own = own;
    this.#logger = logger;
    this.#throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock });
  }

  /** `role`: one of a few words, for the metric. `who`: the name of the other process, for people. */
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
