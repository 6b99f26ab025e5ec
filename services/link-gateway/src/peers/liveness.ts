import { LNK_ERROR, LNK_PING } from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';

/** What is known of whether a peer is alive (architecture.md, "Half-dead peers"). Times on the clock's monotonic scale. */
export class Liveness {
  #isSuspect = false;
  #pingOpen = false;
  #pingedAt = Number.NEGATIVE_INFINITY;
  #answersPings = false;

  /** Probed by command of topology, and nothing has come since. */
  get isSuspect(): boolean {
    return this.#isSuspect;
  }

  /** When the last PING was sent. */
  get pingedAt(): number {
    return this.#pingedAt;
  }

  /** It has answered a PING: the only peers that may be closed for not doing so. */
  get answersPings(): boolean {
    return this.#answersPings;
  }

  suspect(): void {
    this.#isSuspect = true;
  }

  /** Bytes have come. True: it was suspect. */
  heard(): boolean {
    if (!this.#isSuspect) return false;
    this.#isSuspect = false;
    return true;
  }

  pinged(now: number): void {
    this.#pingedAt = now;
    this.#pingOpen = true;
  }

  /** An answer to our PING: PING|REPLY, or from a peer that does not know PING ERROR|REPLY NOSUPP. `base`: its command without flags. */
  answered(base: number, error: number): void {
    if (!this.#pingOpen) return;
    if (base !== LNK_PING && !(base === LNK_ERROR && error === ErrorCode.NOSUPP)) return;
    this.#pingOpen = false;
    this.#answersPings = true;
  }
}
