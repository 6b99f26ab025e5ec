import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '@spanmesh/runtime/clock';
import type { GatewayId } from '@spanmesh/spantree/ids';
import { MAX_TOKENS, TOKEN_BYTES, TOKEN_TTL_MS } from './limits.ts';

interface Issued {
  readonly token: Buffer;
  readonly until: number;
}

/** The tokens issued and not used yet: one a gateway, each good for one connection (trunk.proto, OpenTrunkResponse). */
export class Tokens {
  readonly #clock: Clock;
  /** In the order of issue, so that the first is the first to expire. */
  readonly #issued = new Map<string, Issued>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Number of tokens kept. Expired ones count until the next `issue` or `redeem`. */
  get size(): number {
    return this.#issued.size;
  }

  /** Issues a new token to this gateway; an earlier one becomes invalid. null: too many are issued. */
  issue(gateway: GatewayId): Uint8Array | null {
    this.#issued.delete(gateway);
    this.#expire();
    if (this.#issued.size >= MAX_TOKENS) return null;
    const token = randomBytes(TOKEN_BYTES);
    this.#issued.set(gateway, { token, until: this.#clock.now() + TOKEN_TTL_MS });
    return token;
  }

  /**
   * The gateway that this token was issued to, once; null: no gateway. Takes the same time whichever bytes are wrong.
   */
  redeem(bytes: Uint8Array): string | null {
    this.#expire();
    let holder: string | null = null;
    for (const [gateway, { token }] of this.#issued) {
      if (bytes.length === TOKEN_BYTES && timingSafeEqual(bytes, token)) holder = gateway;
    }
    if (holder !== null) this.#issued.delete(holder);
    return holder;
  }

  /** Makes this gateway's token invalid. */
  revoke(gateway: GatewayId): void {
    this.#issued.delete(gateway);
  }

  clear(): void {
    this.#issued.clear();
  }

  #expire(): void {
    const now = this.#clock.now();
    for (const [gateway, { until }] of this.#issued) {
      if (now < until) return;
      this.#issued.delete(gateway);
    }
  }
}
