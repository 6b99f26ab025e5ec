import { status } from '@grpc/grpc-js';
import { carriesName, namesOf } from '../tls/certificate-name.ts';
import type { Gate } from './gate.ts';
import { LINK_GATEWAY_NAME, SERVICE_NAMES, type ServiceName, TOPOLOGY_NAME, VOLCONF_NAME } from './service-names.ts';

/** Who may call what on a service port, by the full name of the gRPC service. What is not here is for nobody. */
export const SERVICE_CALLERS: Readonly<Record<string, readonly ServiceName[]>> = {
  'spanmesh.v1.GatewayControl': [LINK_GATEWAY_NAME],
  'spanmesh.v1.Directory': [LINK_GATEWAY_NAME],
  'spanmesh.v1.Trunk': [LINK_GATEWAY_NAME],
  'spanmesh.v1.Dial': [VOLCONF_NAME],
  'spanmesh.v1.Capture': [TOPOLOGY_NAME],
  'spanmesh.v1.GatewayTraffic': [TOPOLOGY_NAME],
  'spanmesh.v1.Replication': [TOPOLOGY_NAME],
  // For the debug shell of a gateway, which prints trees, and for replicas that do not lead.
  'spanmesh.v1.Topology': [LINK_GATEWAY_NAME, TOPOLOGY_NAME],
  'spanmesh.v1.Volconf': [VOLCONF_NAME],
  'grpc.health.v1.Health': SERVICE_NAMES,
  'grpc.reflection.v1.ServerReflection': SERVICE_NAMES,
  'grpc.reflection.v1alpha.ServerReflection': SERVICE_NAMES,
};

/** The gate of a service port: by the caller's certificate and nothing else; a token of the API is not even looked at. */
export const serviceGate: Gate = (path, { certificate }) => {
  if (certificate === null) {
    return { code: status.UNAUTHENTICATED, details: 'The service port is for services with a certificate.' };
  }
  const callers = SERVICE_CALLERS[path.split('/')[1]!] ?? [];
  if (callers.some((name) => carriesName(certificate, name))) return null;
  const shown = namesOf(certificate).join(', ') || 'nobody';
  const wanted = callers.join(' or ') || 'nobody';
  return {
    code: status.PERMISSION_DENIED,
    details: `${path} is for ${wanted}; the certificate shown is that of ${shown}.`,
  };
};
