import { API_CLIENT_NAMES } from '@spanmesh/runtime/api-access';
import {
  API_NAME,
  LINK_GATEWAY_NAME,
  SERVICE_NAMES,
  TOPOLOGY_NAME,
  VOLCONF_NAME,
} from '@spanmesh/runtime/service-names';

/** A certificate that an installation needs. */
export interface CertificatePlan {
  /** Of its files, without `.crt` and `.key`. */
  readonly file: string;
  /** For people. */
  readonly subject: string;
  readonly names: readonly string[];
  readonly roles: readonly ('server' | 'client')[];
}

/** File name of the CA, without ending. */
export const CA_FILE = 'ca';

const BOTH = ['server', 'client'] as const;

/** Under which this host reaches itself. */
const LOOPBACK = ['localhost', '127.0.0.1', '::1'];

/**
 * All of them. `hosts`: names and addresses under which programs other than ours reach the API; `natsHosts`: those of the NATS
 * servers, none: they have certificates from elsewhere.
 */
export function certificatePlans(hosts: readonly string[], natsHosts: readonly string[]): CertificatePlan[] {
  return [
    { file: 'link-gateway', subject: 'link-gateway', names: [LINK_GATEWAY_NAME], roles: BOTH },
    { file: 'topology', subject: 'topology', names: [TOPOLOGY_NAME], roles: BOTH },
    { file: 'volconf', subject: 'volconf', names: [VOLCONF_NAME], roles: BOTH },
    { file: 'standalone', subject: 'standalone', names: SERVICE_NAMES, roles: BOTH },
    {
      file: 'api',
      subject: 'api',
      names: [...new Set([API_NAME, ...LOOPBACK, ...hosts])],
      roles: ['server'],
    },
    { file: 'operator', subject: 'operator', names: [API_CLIENT_NAMES.operate], roles: ['client'] },
    { file: 'reader', subject: 'reader', names: [API_CLIENT_NAMES.read], roles: ['client'] },
    // Servers of a cluster are each other's clients. What services show to them is their own certificate.
    ...(natsHosts.length === 0
      ? []
      : [{ file: 'nats', subject: 'nats', names: [...new Set([...LOOPBACK, ...natsHosts])], roles: BOTH }]),
  ];
}
