import { TopologyClient } from '@spanmesh/proto/v1/topology';
import { createClient } from '@spanmesh/runtime/grpc/grpc-client';
import type { ChannelSecurity } from '@spanmesh/runtime/tls/tls-credentials';
import type { TreeSource } from '../shell/shell.ts';

/** Reads span trees from topology's API. `client` is called for each request; null: the API is not up yet. */
export function treeSourceOf(client: () => TopologyClient | null): TreeSource {
  return (request, signal) => {
    const api = client();
    if (api === null) throw new Error('the API is not up yet');
    const call = api.getTree(request);
    signal.addEventListener('abort', () => call.cancel(), { once: true });
    return call;
  };
}

/** A client of topology's service port. It follows `address`, which changes with the leader. */
export class TopologyApi {
  readonly #address: () => string | null;
  readonly #security: ChannelSecurity;
  #client: TopologyClient | null = null;
  #clientAddress = '';

  constructor({ address, security }: { address: () => string | null; security: ChannelSecurity }) {
    this.#address = address;
    this.#security = security;
  }

  client(): TopologyClient | null {
    const address = this.#address();
    if (address !== null && address !== this.#clientAddress) {
      this.#client?.close();
      this.#client = createClient(TopologyClient, address, { security: this.#security });
      this.#clientAddress = address;
    }
    return this.#client;
  }

  close(): void {
    this.#client?.close();
  }
}
