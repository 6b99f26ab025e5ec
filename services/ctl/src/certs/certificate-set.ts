import { API_CLIENT_NAMES } from '@spanmesh/runtime/access/api-access';
import { gatewayCertificateName } from '@spanmesh/runtime/tls/gateway-certificate';
import {
  API_NAME,
  LINK_GATEWAY_NAME,
  SERVICE_NAMES,
  TOPOLOGY_NAME,
  VOLCONF_NAME,
} from '@spanmesh/runtime/tls/service-names';

/** A certificate that an installation needs. */
export interface CertificatePlan {
  /** Name of its files, without `.crt` and `.key`. */
  readonly file: string;
  /** Its subject, for people. */
  readonly subject: string;
  readonly names: readonly string[];
  readonly roles: readonly ('server' | 'client')[];
}

/** File name of the CA, without ending. */
export const CA_FILE = 'ca';

/** The default of SPANMESH_GATEWAY_NAME. */
const DEFAULT_GATEWAY = 'gateway';

const BOTH = ['server', 'client'] as const;

/** The names and addresses under which this host reaches itself. */
const LOOPBACK = ['localhost', '127.0.0.1', '::1'];

/** What the certificates have to cover. */
export interface CertificateWishes {
  /** Names and addresses under which programs other than ours reach the API. */
  readonly hosts: readonly string[];
  /** Hosts of the NATS servers; none: these have certificates from elsewhere. */
  readonly natsHosts: readonly string[];
  /** Names of gateways, or patterns of names; none: the default name of a gateway. */
  readonly gateways: readonly string[];
}

/** All certificates that the wishes need. */
export function certificatePlans({ hosts, natsHosts, gateways }: CertificateWishes): CertificatePlan[] {
  return [
    ...gatewayPlans(gateways),
    { file: 'topology', subject: 'topology', names: [TOPOLOGY_NAME], roles: BOTH },
    { file: 'volconf', subject: 'volconf', names: [VOLCONF_NAME], roles: BOTH },
    {
      file: 'standalone',
      subject: 'standalone',
      names: [...SERVICE_NAMES, ...[...new Set([DEFAULT_GATEWAY, ...gateways])].map(gatewayCertificateName)],
      roles: BOTH,
    },
    {
      file: 'api',
      subject: 'api',
      names: [...new Set([API_NAME, ...LOOPBACK, ...hosts])],
      roles: ['server'],
    },
    { file: 'operator', subject: 'operator', names: [API_CLIENT_NAMES.operate], roles: ['client'] },
    { file: 'reader', subject: 'reader', names: [API_CLIENT_NAMES.read], roles: ['client'] },
    // NATS servers of a cluster are also each other's clients. Services identify themselves to NATS by their own
    // certificates.
    ...(natsHosts.length === 0
      ? []
      : [{ file: 'nats', subject: 'nats', names: [...new Set([...LOOPBACK, ...natsHosts])], roles: BOTH }]),
  ];
}

/** A pair for each named gateway, and one for all gateways that fit a pattern, whose number is not known. */
function gatewayPlans(gateways: readonly string[]): CertificatePlan[] {
  const names = [...new Set(gateways.length === 0 ? [DEFAULT_GATEWAY] : gateways)];
  const isShared = (name: string) => gateways.length === 0 || name.includes('*');
  const shared = names.filter(isShared);
  const plan = (file: string, of: readonly string[]): CertificatePlan => ({
    file,
    subject: file,
    names: [LINK_GATEWAY_NAME, ...of.map(gatewayCertificateName)],
    roles: BOTH,
  });
  return [
    ...(shared.length === 0 ? [] : [plan('link-gateway', shared)]),
    ...names.filter((name) => !isShared(name)).map((name) => plan(`link-gateway-${name}`, [name])),
  ];
}
