import type { X509Certificate } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { carriesName, namesOf } from '../tls/certificate-name.ts';
import {
  LINK_GATEWAY_NAME,
  SERVICE_NAMES,
  type ServiceName,
  TOPOLOGY_NAME,
  VOLCONF_NAME,
} from '../tls/service-names.ts';
import { METHOD_ROLES } from './api-access.ts';
import type { Gate, GateCaller, Refusal } from './gate.ts';

/** Who may call what on a service port, by the full name of the gRPC service. What is not here is for nobody. */
export const SERVICE_CALLERS: Readonly<Record<string, readonly ServiceName[]>> = {
  'spanmesh.v1.GatewayControl': [LINK_GATEWAY_NAME],
  'spanmesh.v1.Directory': [LINK_GATEWAY_NAME],
  'spanmesh.v1.Trunk': [LINK_GATEWAY_NAME],
  'spanmesh.v1.Dial': [VOLCONF_NAME],
  'spanmesh.v1.Capture': [TOPOLOGY_NAME],
  'spanmesh.v1.GatewayTraffic': [TOPOLOGY_NAME],
  'spanmesh.v1.Replication': [TOPOLOGY_NAME],
  // For the debug shell of a gateway, which prints trees, and for replicas that do not lead. Gateways read, see below.
  'spanmesh.v1.Topology': [LINK_GATEWAY_NAME, TOPOLOGY_NAME],
  // Gateways without NATS.
  'spanmesh.v1.EventReports': [LINK_GATEWAY_NAME],
  // A replica that begins reads what another one has.
  'spanmesh.v1.Events': [TOPOLOGY_NAME],
  'spanmesh.v1.Volconf': [VOLCONF_NAME],
  // Not gateways: what was broken into there must not command the others.
  'spanmesh.v1.ProcessOrders': [TOPOLOGY_NAME, VOLCONF_NAME],
  'grpc.health.v1.Health': SERVICE_NAMES,
  'grpc.reflection.v1.ServerReflection': SERVICE_NAMES,
  'grpc.reflection.v1alpha.ServerReflection': SERVICE_NAMES,
};

/** Services of the API that every process serves: one that does not answer itself passes the call on to one that does. */
const PASSED_ON: ReadonlySet<string> = new Set([
  'spanmesh.v1.Topology',
  'spanmesh.v1.Events',
  'spanmesh.v1.Volconf',
  'spanmesh.v1.Messaging',
]);

/** True for a method of the API that processes pass on to each other. */
export function isPassedOn(path: string): boolean {
  return PASSED_ON.has(serviceOf(path));
}

/** The gate of a service port: by the caller's certificate and nothing else; a token of the API is not even looked at. */
export const serviceGate: Gate = (path, { certificate }) => {
  if (certificate === null) return withoutCertificate();
  const service = serviceOf(path);
  const callers = SERVICE_CALLERS[service] ?? [];
  const found = callers.filter((name) => carriesName(certificate, name));
  // Gateways change nothing in their own name: orders of their users are passed on in the users' names.
  const reads = METHOD_ROLES[path] === undefined || METHOD_ROLES[path] === 'read' || METHOD_ROLES[path] === 'anyone';
  if (found.some((name) => reads || name !== LINK_GATEWAY_NAME)) return null;
  return refuse(path, reads ? callers : callers.filter((name) => name !== LINK_GATEWAY_NAME), certificate);
};

/**
 * The gate of a service port to which other services pass calls of their users on. Who passes one on must be a service, and gives it no
 * right: its first caller must be one who might have made it here. `between`: the gate for services' own calls, null where there is no
 * TLS; `users`: that of this process's API, null where that asks nobody.
 */
export function passingGate({ between, users }: { readonly between: Gate | null; readonly users: Gate | null }): Gate {
  return (path, caller: GateCaller) => {
    const { certificate, onBehalf = null } = caller;
    if (onBehalf === null) return between?.(path, caller) ?? null;
    if (between !== null) {
      if (certificate === null) return withoutCertificate();
      const isService = SERVICE_NAMES.some((name) => carriesName(certificate, name));
      if (!isService || !isPassedOn(path)) return refuse(path, isPassedOn(path) ? SERVICE_NAMES : [], certificate);
    }
    const refusal = users?.(path, onBehalf) ?? null;
    if (refusal?.code !== status.UNAUTHENTICATED) return refusal;
    const advice = 'The call was passed on, and each process asks for itself: give all of them the same users.';
    return { code: refusal.code, details: `${refusal.details} ${advice}` };
  };
}

function withoutCertificate(): Refusal {
  return { code: status.UNAUTHENTICATED, details: 'The service port is for services with a certificate.' };
}

function refuse(path: string, callers: readonly ServiceName[], certificate: X509Certificate): Refusal {
  const shown = namesOf(certificate).join(', ') || 'nobody';
  const wanted = callers.join(' or ') || 'nobody';
  return {
    code: status.PERMISSION_DENIED,
    details: `${path} is for ${wanted}; the certificate shown is that of ${shown}.`,
  };
}

/** `package.Service` of `/package.Service/Method`. */
function serviceOf(path: string): string {
  return path.split('/')[1] ?? '';
}
