import { LNK_ERROR, LNK_PING } from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';

/** Whether a peer is alive (architecture.md, "Half-dead peers"). Times in milliseconds of the monotonic clock. */
export class Liveness {
  #isSuspect = false;
  #pingOpen = false;
  #pingedAt = Number.NEGATIVE_INFINITY;
  #answersPings = false;

  /** Topology has had the peer probed, and no byte has come since. */
  get isSuspect(): boolean {
    return this.#isSuspect;
  }

  /** When the last PING was sent. */
  get pingedAt(): number {
    return this.#pingedAt;
  }

  /** The peer has answered a PING at least once. Only such a peer may be closed for not answering. */
  get answersPings(): boolean {
    return this.#answersPings;
  }

  suspect(): void {
    this.#isSuspect = true;
  }

  /** Bytes have come from the peer: it is not suspect any more. True if it was. */
  heard(): boolean {
    if (!this.#isSuspect) return false;
    this.#isSuspect = false;
    return true;
  }

  pinged(now: number): void {
    this.#pingedAt = now;
    this.#pingOpen = true;
  }

  /**
   * A one-way reply: it counts as the answer to our PING if it is PING|REPLY or, from a peer that does not know PING,
   * ERROR|REPLY NOSUPP. `base`: the reply's command without flags.
   */
  answered(base: number, error: number): void {
    if (!this.#pingOpen) return;
    if (base !== LNK_PING && !(base === LNK_ERROR && error === ErrorCode.NOSUPP)) return;
    this.#pingOpen = false;
    this.#answersPings = true;
  }
}
