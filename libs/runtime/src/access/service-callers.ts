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

/**
 * Who may call what on a service port, by the full name of the gRPC service. A service that is missing here is refused
 * to everybody.
 */
export const SERVICE_CALLERS: Readonly<Record<string, readonly ServiceName[]>> = {
  'spanmesh.v1.GatewayControl': [LINK_GATEWAY_NAME],
  'spanmesh.v1.Directory': [LINK_GATEWAY_NAME],
  'spanmesh.v1.Trunk': [LINK_GATEWAY_NAME],
  'spanmesh.v1.Dial': [VOLCONF_NAME],
  'spanmesh.v1.Capture': [TOPOLOGY_NAME],
  'spanmesh.v1.GatewayTraffic': [TOPOLOGY_NAME],
  'spanmesh.v1.Replication': [TOPOLOGY_NAME],
  // For the debug shell of a gateway, which prints trees, and for replicas that do not lead. Gateways may only read:
  // see `serviceGate`.
  'spanmesh.v1.Topology': [LINK_GATEWAY_NAME, TOPOLOGY_NAME],
  // Gateways that run without NATS report their events by calls.
  'spanmesh.v1.EventReports': [LINK_GATEWAY_NAME],
  // A replica that starts reads the events of another one.
  'spanmesh.v1.Events': [TOPOLOGY_NAME],
  'spanmesh.v1.Volconf': [VOLCONF_NAME],
  // Not gateways: a gateway that was broken into must not command the others.
  'spanmesh.v1.ProcessOrders': [TOPOLOGY_NAME, VOLCONF_NAME],
  'grpc.health.v1.Health': SERVICE_NAMES,
  'grpc.reflection.v1.ServerReflection': SERVICE_NAMES,
  'grpc.reflection.v1alpha.ServerReflection': SERVICE_NAMES,
};

/** Services of the API that every process serves. A process that cannot answer a call passes it on to one that can. */
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

/** The gate of a service port. It looks at the caller's certificate only, never at a token of the API. */
export const serviceGate: Gate = (path, { certificate }) => {
  if (certificate === null) return withoutCertificate();
  const service = serviceOf(path);
  const callers = SERVICE_CALLERS[service] ?? [];
  const found = callers.filter((name) => carriesName(certificate, name));
  // Gateways change nothing in their own name: they pass on the orders of their users in the users' names.
  const reads = METHOD_ROLES[path] === undefined || METHOD_ROLES[path] === 'read' || METHOD_ROLES[path] === 'anyone';
  if (found.some((name) => reads || name !== LINK_GATEWAY_NAME)) return null;
  return refuse(path, reads ? callers : callers.filter((name) => name !== LINK_GATEWAY_NAME), certificate);
};

/**
 * The gate of a service port to which other services pass on calls of their users. Only a service may pass a call on,
 * and its own rights do not count: the user must be allowed to make the call at this process. `between`: the gate for
 * services' own calls, null where there is no TLS; `users`: the gate of this process's API, null where the API asks
 * nobody.
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
