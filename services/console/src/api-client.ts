import { createSecureContext } from 'node:tls';
import { Client, type ClientOptions, credentials } from '@grpc/grpc-js';
import { channelOptions } from '@spanmesh/runtime/grpc/grpc-client';
import type { TlsFiles } from '@spanmesh/runtime/tls/tls-files';
import { TLS_VERSION } from '@spanmesh/runtime/tls/tls-material';

/**
 * A client of this process's own API. It expects the very certificate that this process has read, and is made anew when
 * that changes.
 */
export class ApiClient {
  readonly #address: () => string;
  readonly #files: TlsFiles | null;
  #client: Client | null = null;

  /** `address`: of the API, once it listens. `files`: the API's certificate; null: no TLS. */
  constructor({ address, files }: { readonly address: () => string; readonly files: TlsFiles | null }) {
    this.#address = address;
    this.#files = files;
    files?.onChange(() => this.close());
  }

  get client(): Client {
    this.#client ??= new Client(this.#address(), this.#credentials(), OPTIONS);
    return this.#client;
  }

  close(): void {
    this.#client?.close();
    this.#client = null;
  }

  #credentials() {
    if (this.#files === null) return credentials.createInsecure();
    const { cert, certificate } = this.#files.value;
    const context = createSecureContext({ ...TLS_VERSION, ca: [cert], allowPartialTrustChain: true });
    return credentials.createFromSecureContext(context, {
      checkServerIdentity: (_name, { raw }) =>
        certificate.raw.equals(raw)
          ? undefined
          : new Error('the API shows another certificate than this process has read'),
    });
  }
}

/** Calls between processes carry a protocol version; this is a user's call, without one. */
const OPTIONS: ClientOptions = { ...channelOptions, interceptors: [] };
