import type { X509Certificate } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { METHOD_ROLES as OUR_ROLES } from '@spanmesh/proto/method-roles';
import { carriesName } from '../tls/certificate-name.ts';
import type { ApiRole, ApiTokens, ApiUser } from './api-tokens.ts';
import type { Caller, Gate, Refusal } from './gate.ts';

/** Names in the certificates of users of the API (subjectAltName, DNS), by role. */
export const API_CLIENT_NAMES: Readonly<Record<ApiRole, string>> = {
  read: 'read.clients.spanmesh',
  operate: 'operate.clients.spanmesh',
};

/** The role that a method asks of its caller; `anyone`: none. */
export type MethodRole = ApiRole | 'anyone';

/**
 * Every method of the API, by its path: ours as proto/ says (options.proto), and the standard ones. A method that is
 * not here is for nobody.
 */
export const METHOD_ROLES: Readonly<Record<string, MethodRole>> = {
  ...OUR_ROLES,
  // Load balancers have no token.
  '/grpc.health.v1.Health/Check': 'anyone',
  '/grpc.health.v1.Health/Watch': 'anyone',
  '/grpc.health.v1.Health/List': 'anyone',
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo': 'read',
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo': 'read',
};

/**
 * The gate of the API: lets in a caller who shows a token, or a certificate that carries a role's name. `tokens` is
 * called for each call; null: no tokens are configured.
 */
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

/** Which user of the API a caller is; null: none that is known. */
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
