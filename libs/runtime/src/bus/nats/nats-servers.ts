import { isIP } from 'node:net';
import { formatHostPort, type HostPort } from '../../address.ts';
import type { Random } from '../../random.ts';

/** Servers that a cluster may tell us of besides those of the settings; far above any cluster. */
const MAX_TOLD = 32;

/** A server to connect with. */
export interface NatsAddress {
  /** `host:port` */
  readonly address: string;
  /** What its certificate must name; undefined: its host. */
  readonly tlsName: string | undefined;
}

/** The NATS servers to try: the ones of the settings, and the ones that the last server has told us of. */
export class NatsServers {
  readonly #configured: readonly NatsAddress[];
  readonly #random: Random;
  #told: readonly NatsAddress[] = [];

  constructor(configured: readonly HostPort[], { random }: { readonly random: Random }) {
    this.#configured = configured.map((server) => ({ address: formatHostPort(server), tlsName: undefined }));
    this.#random = random;
  }

  /**
   * What a server has said of its cluster, `host:port` each: it is all that is known of it now. Servers name each other by address,
   * and their certificates by name: that of the server that has told is good for all.
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

  /** Each once, in random order, so that processes spread over the servers. */
  inRandomOrder(): NatsAddress[] {
    return [...this.#configured, ...this.#told]
      .map((server) => ({ server, at: this.#random() }))
      .sort((a, b) => a.at - b.at)
      .map(({ server }) => server);
  }
}
