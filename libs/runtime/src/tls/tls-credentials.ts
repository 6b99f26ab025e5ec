import { type ChannelCredentials, type ClientOptions, experimental, ServerCredentials } from '@grpc/grpc-js';
import { gatewayCertificateName } from './gateway-certificate.ts';
import { checkServiceIdentity } from './service-identity.ts';
import type { ServiceName } from './service-names.ts';
import type { TlsFiles } from './tls-files.ts';
import { secureContextOptions, type TlsMaterial } from './tls-material.ts';

/** Whether a server wants certificates of its clients: `optional` for clients that may show a token instead. */
export type ClientCertificates = 'required' | 'optional' | 'none';

type CertificateProvider = experimental.CertificateProvider;
type CaListener = experimental.CaCertificateUpdateListener;
type IdentityListener = experimental.IdentityCertificateUpdateListener;

/** What a client needs to meet a service: for the constructors of grpc-js clients. */
export interface ChannelSecurity {
  readonly credentials: ChannelCredentials;
  readonly options: Partial<ClientOptions>;
}

/**
 * grpc-js offers the same made of certificate providers; those cannot set the version of TLS, and pass changes on in two steps.
 */
class WatchedServerCredentials extends ServerCredentials {
  constructor(files: TlsFiles, clients: ClientCertificates) {
    super(
      { requestCert: clients !== 'none', rejectUnauthorized: clients === 'required' },
      secureContextOptions(files.value),
    );
    files.onChange((material) => this.updateSecureContextOptions(secureContextOptions(material)));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** A server's credentials: connections that are made after a change of the files see the new ones. */
export function serverCredentials(files: TlsFiles, clients: ClientCertificates): ServerCredentials {
  return new WatchedServerCredentials(files, clients);
}

/** Tells grpc-js of the material that there is, and of each that comes. */
class WatchedProvider implements CertificateProvider {
  readonly #files: TlsFiles;
  readonly #ca = new Set<CaListener>();
  readonly #identity = new Set<IdentityListener>();

  constructor(files: TlsFiles) {
    this.#files = files;
    files.onChange((material) => {
      for (const listener of this.#ca) listener(caOf(material));
      for (const listener of this.#identity) listener(identityOf(material));
    });
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#ca.add(listener);
    listener(caOf(this.#files.value));
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#ca.delete(listener);
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#identity.add(listener);
    listener(identityOf(this.#files.value));
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#identity.delete(listener);
  }
}

function caOf({ ca }: TlsMaterial): experimental.CaCertificateUpdate | null {
  return ca === null ? null : { caCertificate: ca };
}

function identityOf({ cert, key }: TlsMaterial): experimental.IdentityCertificateUpdate {
  return { certificate: cert, privateKey: key };
}

/** Credentials for clients of other services, one for all of them: who is meant is said by the options of the channel. */
export function channelCredentials(files: TlsFiles): ChannelCredentials {
  const provider = new WatchedProvider(files);
  return experimental.createCertificateProviderChannelCredentials(provider, provider, {
    checkServerIdentity: checkServiceIdentity,
  });
}

/** The option of grpc-js that says who the other side must be. */
const MEANT = 'grpc.ssl_target_name_override';

/** The options that make a channel insist on a service. */
export function meaning(name: ServiceName): Partial<ClientOptions> {
  return { [MEANT]: name };
}

/** The channel to one gateway: with TLS, its certificate must carry this name. */
export function meetingGateway(security: ChannelSecurity, gateway: string): ChannelSecurity {
  const { credentials, options } = security;
  if (options[MEANT] === undefined) return security;
  return { credentials, options: { ...options, [MEANT]: gatewayCertificateName(gateway) } };
}
