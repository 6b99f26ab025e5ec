import { GatewayTrafficClient } from '@spanmesh/proto/v1/traffic';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { createClient, PLAINTEXT } from '@spanmesh/runtime/grpc/grpc-client';
import { meetingGateway } from '@spanmesh/runtime/tls/tls-credentials';
import type { GatewayChannel } from '../operate/captures.ts';
import type { Gateway } from '../trees/gateway.ts';
import { IDLE_MS } from './limits.ts';

/** A client, with the address that it calls and the time of its last use (monotonic). */
interface Kept {
  readonly client: GatewayTrafficClient;
  readonly address: string;
  usedAt: number;
}

/**
 * Clients of gateways. They are kept while they are used, because `spanmesh top` asks every few seconds and a TLS
 * handshake each time would cost both sides.
 */
export class GatewayClients {
  readonly #channel: GatewayChannel;
  readonly #clock: Pick<Clock, 'now' | 'after'>;
  /** The clients by id of their gateway. */
  readonly #kept = new Map<string, Kept>();
  #sweep: Timer | null = null;

  constructor(channel: GatewayChannel, { clock }: { readonly clock: Pick<Clock, 'now' | 'after'> }) {
    this.#channel = channel;
    this.#clock = clock;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** The client of a gateway; null: the gateway cannot be called. */
  of(gateway: Gateway): GatewayTrafficClient | null {
    const { security = PLAINTEXT, address: addressOf = (one) => one.serviceAddress } = this.#channel;
    const address = addressOf(gateway);
    if (!gateway.attached || address === '') return null;
    const known = this.#kept.get(gateway.id);
    if (known?.address === address) {
      known.usedAt = this.#clock.now();
      return known.client;
    }
    known?.client.close();
    const client = createClient(GatewayTrafficClient, address, { security: meetingGateway(security, gateway.name) });
    this.#kept.set(gateway.id, { client, address, usedAt: this.#clock.now() });
    this.#sweep ??= this.#clock.after(IDLE_MS, () => this.#closeIdle());
    return client;
  }

  stop(): void {
    this.#sweep?.cancel();
    this.#sweep = null;
    for (const { client } of this.#kept.values()) client.close();
    this.#kept.clear();
  }

  #closeIdle(): void {
    const since = this.#clock.now() - IDLE_MS;
    for (const [id, { client, usedAt }] of this.#kept) {
      if (usedAt > since) continue;
      client.close();
      this.#kept.delete(id);
    }
    this.#sweep = this.#kept.size === 0 ? null : this.#clock.after(IDLE_MS, () => this.#closeIdle());
  }
}
