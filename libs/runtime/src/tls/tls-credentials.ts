import { type ChannelCredentials, type ClientOptions, experimental, ServerCredentials } from '@grpc/grpc-js';
import { gatewayCertificateName } from './gateway-certificate.ts';
import { checkServiceIdentity } from './service-identity.ts';
import type { ServiceName } from './service-names.ts';
import type { TlsFiles } from './tls-files.ts';
import { secureContextOptions, type TlsMaterial } from './tls-material.ts';

/** Whether a server demands certificates of its clients: `optional` for clients that may show a token instead. */
export type ClientCertificates = 'required' | 'optional' | 'none';

type CertificateProvider = experimental.CertificateProvider;
type CaListener = experimental.CaCertificateUpdateListener;
type IdentityListener = experimental.IdentityCertificateUpdateListener;

/** Credentials and options for a connection to a service: for the constructors of grpc-js clients. */
export interface ChannelSecurity {
  readonly credentials: ChannelCredentials;
  readonly options: Partial<ClientOptions>;
}

/**
 * grpc-js has credentials made of certificate providers, too; but those cannot set the version of TLS, and apply a
 * change of files in two steps.
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

/** A server's credentials: connections made after a change of the files use the new ones. */
export function serverCredentials(files: TlsFiles, clients: ClientCertificates): ServerCredentials {
  return new WatchedServerCredentials(files, clients);
}

/** Passes the present certificates, and each change of them, to grpc-js. */
export class WatchedProvider implements CertificateProvider {
  readonly #files: Pick<TlsFiles, 'value' | 'onChange'>;
  readonly #ca = new Set<CaListener>();
  readonly #identity = new Set<IdentityListener>();

  constructor(files: Pick<TlsFiles, 'value' | 'onChange'>) {
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

/**
 * Credentials for clients of other services, one object for all of them: the channel's options say which service is
 * meant.
 */
export function channelCredentials(files: TlsFiles): ChannelCredentials {
  const provider = new WatchedProvider(files);
  return experimental.createCertificateProviderChannelCredentials(provider, provider, {
    checkServerIdentity: checkServiceIdentity,
  });
}

/** The option of grpc-js for the name that the other side's certificate must carry. */
const MEANT = 'grpc.ssl_target_name_override';

/** Options by which a channel demands the certificate of a service. */
export function meaning(name: ServiceName): Partial<ClientOptions> {
  return { [MEANT]: name };
}

/** The security of a channel to one gateway: with TLS, the other side's certificate must carry this gateway's name. */
export function meetingGateway(security: ChannelSecurity, gateway: string): ChannelSecurity {
  const { credentials, options } = security;
  if (options[MEANT] === undefined) return security;
  return { credentials, options: { ...options, [MEANT]: gatewayCertificateName(gateway) } };
}
