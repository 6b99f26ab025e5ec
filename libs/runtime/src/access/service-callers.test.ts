import { X509Certificate } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { CertificateAuthority } from '../tls/certificate-authority.ts';
import { VALID } from '../tls/certificates.fixture.ts';
import { LINK_GATEWAY_NAME, SERVICE_NAMES, TOPOLOGY_NAME, VOLCONF_NAME } from '../tls/service-names.ts';
import { API_CLIENT_NAMES, apiGate } from './api-access.ts';
import { createApiToken, parseApiTokens } from './api-tokens.ts';
import type { GateCaller } from './gate.ts';
import { passingGate, serviceGate } from './service-callers.ts';

const DRAIN = '/spanmesh.v1.Topology/DrainGateway';
const TREE = '/spanmesh.v1.Topology/GetTree';
const SET = '/spanmesh.v1.Volconf/SetTarget';
const LIST = '/spanmesh.v1.Volconf/ListTargets';
const ROUTE = '/spanmesh.v1.Messaging/OpenRoute';
const DIAL = '/spanmesh.v1.Dial/Dial';

const authority = CertificateAuthority.create({ subject: 'test CA', ...VALID });
const certificateOf = (name: string) =>
  new X509Certificate(authority.issue({ subject: name, names: [name], roles: ['client'], ...VALID }).cert);
const certificates = new Map([...SERVICE_NAMES, API_CLIENT_NAMES.operate].map((name) => [name, certificateOf(name)]));
const as = (name: string) => ({ certificate: certificates.get(name) ?? null, token: null });

const reader = createApiToken({ name: 'r', role: 'read' });
const operator = createApiToken({ name: 'o', role: 'operate' });
const tokens = parseApiTokens('tokens', Buffer.from(`${reader.line}\n${operator.line}`));
const users = apiGate(() => tokens);
const gate = passingGate({ between: serviceGate, users });
const open = passingGate({ between: serviceGate, users: null });
/** The gate of a process whose service port has no TLS. */
const plain = passingGate({ between: null, users });

/** What the gate answers to a service that passes on the call of a user with this token. */
function outcome(path: string, service: string, token: string | null, of = gate): string {
  const onBehalf = { certificate: null, token, address: '192.0.2.1' };
  const refusal = of(path, { ...as(service), onBehalf });
  return refusal === null ? 'ok' : status[refusal.code]!;
}

describe('a call that a service passes on', () => {
  it.each(SERVICE_NAMES)('by %s is let in as that user, not as the service', (service) => {
    for (const path of [DRAIN, SET, ROUTE]) {
      expect([path, outcome(path, service, operator.token)]).toEqual([path, 'ok']);
      expect([path, outcome(path, service, reader.token)]).toEqual([path, 'PERMISSION_DENIED']);
      expect([path, outcome(path, service, null)]).toEqual([path, 'UNAUTHENTICATED']);
      expect([path, outcome(path, service, 'spm_made_up')]).toEqual([path, 'UNAUTHENTICATED']);
    }
    for (const path of [TREE, LIST]) expect([path, outcome(path, service, reader.token)]).toEqual([path, 'ok']);
  });

  it('is refused with the name of the process whose tokens file does not know the user', () => {
    const onBehalf = { certificate: null, token: 'spm_made_up', address: '' };
    expect(gate(LIST, { ...as(TOPOLOGY_NAME), onBehalf })?.details).toBe(
      'This token is not known here. The call was passed on, and each process asks for itself: give all of them the same users.',
    );
  });

  it('is of the API: users may call nothing else, whichever service passes the call on', () => {
    expect(outcome(DIAL, VOLCONF_NAME, operator.token)).toBe('PERMISSION_DENIED');
    expect(outcome(DIAL, VOLCONF_NAME, operator.token, open)).toBe('PERMISSION_DENIED');
    expect(outcome('/spanmesh.v1.GatewayControl/Attach', LINK_GATEWAY_NAME, operator.token)).toBe('PERMISSION_DENIED');
    expect(outcome('/spanmesh.v1.Topology/', TOPOLOGY_NAME, operator.token)).toBe('PERMISSION_DENIED');
  });

  it('is refused without a certificate', () => {
    expect(serviceGate(DIAL, { certificate: null, token: null })).toEqual({
      code: status.UNAUTHENTICATED,
      details: 'The service port is for services with a certificate.',
    });
  });

  it('is refused with the names of those who may make it', () => {
    expect(serviceGate(DIAL, as(TOPOLOGY_NAME))?.details).toBe(
      `${DIAL} is for ${VOLCONF_NAME}; the certificate shown is that of ${TOPOLOGY_NAME}.`,
    );
    const { cert } = authority.issue({ subject: 'x', names: [], roles: ['client'], ...VALID });
    expect(serviceGate('/x.Y/Z', { certificate: new X509Certificate(cert), token: null })?.details).toBe(
      '/x.Y/Z is for nobody; the certificate shown is that of nobody.',
    );
  });

  // Causes: code access/service-callers.ts UNAUTHENTICATED
  it('is passed on by services only: a user who connects to a service port speaks for nobody', () => {
    expect(outcome(LIST, API_CLIENT_NAMES.operate, operator.token)).toBe('PERMISSION_DENIED');
    expect(outcome(LIST, API_CLIENT_NAMES.operate, operator.token, open)).toBe('PERMISSION_DENIED');
    expect(outcome(LIST, 'nobody', operator.token)).toBe('UNAUTHENTICATED');
  });

  it('is let in where the API asks nobody; is checked also where services have no TLS', () => {
    expect(outcome(SET, TOPOLOGY_NAME, null, open)).toBe('ok');
    expect(outcome(SET, 'nobody', null, plain)).toBe('UNAUTHENTICATED');
    expect(outcome(SET, 'nobody', operator.token, plain)).toBe('ok');
    expect(plain(DIAL, { certificate: null, token: null })).toBeNull();
  });
});

describe('a call that a service makes for itself', () => {
  const own = (path: string, service: string) => {
    const caller: GateCaller = { ...as(service), onBehalf: null };
    return gate(path, caller) === null;
  };

  it('is allowed to a gateway only if it changes nothing', () => {
    expect([own(TREE, LINK_GATEWAY_NAME), own(DRAIN, LINK_GATEWAY_NAME)]).toEqual([true, false]);
    expect([own(DRAIN, TOPOLOGY_NAME), own(SET, VOLCONF_NAME)]).toEqual([true, true]);
    expect(gate(DRAIN, { ...as(LINK_GATEWAY_NAME) })?.details).toContain('is for topology.spanmesh; the certificate');
  });

  it('is refused if only users make such calls', () => {
    for (const name of SERVICE_NAMES) expect(own(ROUTE, name)).toBe(false);
    expect([own(LIST, TOPOLOGY_NAME), own(LIST, LINK_GATEWAY_NAME)]).toEqual([false, false]);
  });
});

it('a gateway may make calls for itself that anyone may make, that only read, and those that no user may make', () => {
  const isIn = (path: string) => serviceGate(path, as(LINK_GATEWAY_NAME)) === null;
  expect(isIn('/grpc.health.v1.Health/Check')).toBe(true);
  expect(isIn('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo')).toBe(true);
  expect(isIn('/spanmesh.v1.Directory/FindCluster')).toBe(true);
  expect([isIn(TREE), isIn(DRAIN), isIn(DIAL), isIn('/x'), isIn('')]).toEqual([true, false, false, false, false]);
});
