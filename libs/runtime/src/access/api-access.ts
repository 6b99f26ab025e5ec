import type { X509Certificate } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { carriesName } from '../tls/certificate-name.ts';
import type { ApiRole, ApiTokens, ApiUser } from './api-tokens.ts';
import type { Caller, Gate, Refusal } from './gate.ts';

/** Names in the certificates of users of the API (subjectAltName, DNS), by role. */
export const API_CLIENT_NAMES: Readonly<Record<ApiRole, string>> = {
  read: 'read.clients.spanmesh',
  operate: 'operate.clients.spanmesh',
};

/** What a method asks of its caller; `anyone`: nothing. */
export type MethodRole = ApiRole | 'anyone';

/** Every method of the API, by its path. A method that is not here is for nobody (a test compares with proto/). */
export const METHOD_ROLES: Readonly<Record<string, MethodRole>> = {
  '/spanmesh.v1.Topology/ListClusters': 'read',
  '/spanmesh.v1.Topology/ListNodes': 'read',
  '/spanmesh.v1.Topology/ListLinks': 'read',
  '/spanmesh.v1.Topology/ListConnections': 'read',
  '/spanmesh.v1.Topology/ListRelays': 'read',
  '/spanmesh.v1.Topology/GetTree': 'read',
  '/spanmesh.v1.Topology/Watch': 'read',
  '/spanmesh.v1.Topology/Explain': 'read',
  '/spanmesh.v1.Topology/DrainGateway': 'operate',
  '/spanmesh.v1.Topology/CloseConnection': 'operate',
  // It shows what peers say to each other.
  '/spanmesh.v1.Topology/CaptureConnection': 'operate',
  '/spanmesh.v1.Topology/GetStatus': 'read',
  '/spanmesh.v1.Topology/ListTraffic': 'read',
  '/spanmesh.v1.Events/ListEvents': 'read',
  '/spanmesh.v1.Events/WatchEvents': 'read',
  '/spanmesh.v1.Volconf/ListTargets': 'read',
  '/spanmesh.v1.Volconf/GetTarget': 'read',
  '/spanmesh.v1.Volconf/WatchTargets': 'read',
  '/spanmesh.v1.Volconf/SetTarget': 'operate',
  '/spanmesh.v1.Volconf/RemoveTarget': 'operate',
  '/spanmesh.v1.Process/ListProcesses': 'read',
  '/spanmesh.v1.Process/SetLogLevel': 'operate',
  // Addresses, paths and logs are nothing for a user who may only look at the trees.
  '/spanmesh.v1.Process/Inspect': 'operate',
  // With a route one talks to peers, and a handle costs memory.
  '/spanmesh.v1.Messaging/AcquireCluster': 'operate',
  '/spanmesh.v1.Messaging/RenewClusters': 'operate',
  '/spanmesh.v1.Messaging/ReleaseCluster': 'operate',
  '/spanmesh.v1.Messaging/WaitCluster': 'operate',
  '/spanmesh.v1.Messaging/ResolveNode': 'operate',
  '/spanmesh.v1.Messaging/OpenRoute': 'operate',
  // Load balancers have no token.
  '/grpc.health.v1.Health/Check': 'anyone',
  '/grpc.health.v1.Health/Watch': 'anyone',
  '/grpc.health.v1.Health/List': 'anyone',
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo': 'read',
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo': 'read',
};

/** The gate of the API: a token, or a certificate that carries a role's name. `tokens` is asked at each call; null: there are none. */
export function apiGate(tokens: () => ApiTokens | null): Gate {
  const userOf = apiUserOf(tokens);
  return (path, caller) => {
    const { certificate, token } = caller;
    const needed = METHOD_ROLES[path];
    if (needed === 'anyone') return null;
    if (needed === undefined)
      return { code: status.PERMISSION_DENIED, details: `${path} is not for users of the API.` };
    const user = userOf(caller);
    if (user === null) return unknown(token !== null, certificate !== null);
    if (user.role === 'operate' || needed === 'read') return null;
    return {
      code: status.PERMISSION_DENIED,
      details: `${path} needs the role operate; ${user.name} has the role ${user.role}.`,
    };
  };
}

/** Who a caller of the API is; null: nobody that is known. */
export function apiUserOf(tokens: () => ApiTokens | null): (caller: Caller) => ApiUser | null {
  return ({ certificate, token }) =>
    token === null ? userOfCertificate(certificate) : (tokens()?.userOf(token) ?? null);
}

function unknown(token: boolean, certificate: boolean): Refusal {
  const why = token
    ? 'This token is not known here.'
    : certificate
      ? 'The certificate shown is not that of a user of the API.'
      : 'The API needs a token (authorization: Bearer …) or a client certificate.';
  return { code: status.UNAUTHENTICATED, details: why };
}

function userOfCertificate(certificate: X509Certificate | null): ApiUser | null {
  if (certificate === null) return null;
  const name = /^CN=(.+)$/m.exec(certificate.subject)?.[1] ?? 'this certificate';
  if (carriesName(certificate, API_CLIENT_NAMES.operate)) return { name, role: 'operate' };
  return carriesName(certificate, API_CLIENT_NAMES.read) ? { name, role: 'read' } : null;
}
