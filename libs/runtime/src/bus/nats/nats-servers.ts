import { isIP } from 'node:net';
import { formatHostPort, type HostPort } from '../../address.ts';
import type { Random } from '../../random.ts';

/** Most servers that a cluster may name besides those of the settings; far more than any cluster has. */
const MAX_TOLD = 32;

/** A server to connect with. */
export interface NatsAddress {
  /** `host:port` */
  readonly address: string;
  /** The name that its certificate must carry; undefined: its host. */
  readonly tlsName: string | undefined;
}

/** The NATS servers to try: those of the settings, and those that the last server has named. */
export class NatsServers {
  readonly #configured: readonly NatsAddress[];
  readonly #random: Random;
  #told: readonly NatsAddress[] = [];

  constructor(configured: readonly HostPort[], { random }: { readonly random: Random }) {
    this.#configured = configured.map((server) => ({ address: formatHostPort(server), tlsName: undefined }));
    this.#random = random;
  }

  /**
   * Replaces the servers that the cluster has named, `host:port` each. Servers name each other by address but have
   * names in their certificates, so the certificate name of the server that has told them is taken for all.
   */
  note(told: readonly string[], by: NatsAddress): void {
    const name = by.tlsName ?? by.address.replace(/:\d+$/, '');
    const tlsName = isIP(name.replaceAll(/[[\]]/g, '')) === 0 ? name : undefined;
    const known = new Set(this.#configured.map(({ address }) => address));
    this.#told = told
      .filter((address) => !known.has(address))
      .slice(0, MAX_TOLD)
      .map((address) => ({ address, tlsName }));
  }

  /** Each server once, in random order, so that processes spread over them. */
  inRandomOrder(): NatsAddress[] {
    return [...this.#configured, ...this.#told]
      .map((server) => ({ server, at: this.#random() }))
      .sort((a, b) => a.at - b.at)
      .map(({ server }) => server);
  }
}
