import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { status } from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer, loadSync } from '@grpc/proto-loader';
import { protoPath as healthProtoPath } from 'grpc-health-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { CertificateAuthority } from '../tls/certificate-authority.ts';
import { VALID } from '../tls/certificates.fixture.ts';
import { API_CLIENT_NAMES, apiGate, apiUserOf, METHOD_ROLES } from './api-access.ts';
import { createApiToken, parseApiTokens } from './api-tokens.ts';
import { SERVICE_CALLERS, serviceGate } from './service-callers.ts';

/** Paths of every method of everything that is loaded. */
function methodsOf(definitions: object): string[] {
  return Object.values(definitions).flatMap((definition: object) =>
    'format' in definition ? [] : Object.values(definition).map(({ path }: { path: string }) => path),
  );
}

function standardMethods(): string[] {
  const resolve = createRequire(import.meta.resolve('@grpc/reflection')).resolve;
  const reflection = ['v1', 'v1alpha'].map((version) =>
    loadSync(resolve(`@grpc/reflection/build/proto/grpc/reflection/${version}/reflection.proto`)),
  );
  return [loadSync(healthProtoPath), ...reflection].flatMap(methodsOf);
}

const ours = methodsOf(
  loadFileDescriptorSetFromBuffer(readFileSync(fileURLToPath(import.meta.resolve('@spanmesh/proto/spanmesh.binpb')))),
);
const serviceOf = (path: string) => path.split('/')[1]!;
const onApi = ours.filter((path) => path in METHOD_ROLES);
const onlyBetween = ours.filter((path) => !(path in METHOD_ROLES));

describe('every method', () => {
  it('has a role, or is of a service between services, which has its callers', () => {
    expect(onApi.length).toBeGreaterThan(0);
    expect(onlyBetween.length).toBeGreaterThan(0);
    expect(onlyBetween.filter((path) => !(serviceOf(path) in SERVICE_CALLERS))).toEqual([]);
  });

  it('of a service has a role if one of them has', () => {
    const services = new Set(onApi.map(serviceOf));
    expect(onlyBetween.filter((path) => services.has(serviceOf(path)))).toEqual([]);
  });

  it('that has a role is there', () => {
    expect(Object.keys(METHOD_ROLES).sort()).toEqual([...onApi, ...standardMethods()].sort());
  });
});

describe('who may call what on the API', () => {
  const read = createApiToken({ name: 'r', role: 'read' });
  const operate = createApiToken({ name: 'o', role: 'operate' });
  let gate: ReturnType<typeof apiGate>;
  beforeAll(() => {
    const tokens = parseApiTokens('tokens', Buffer.from(`${read.line}\n${operate.line}`));
    gate = apiGate(() => tokens);
  });
  const isIn = (path: string, token: string | null) => gate(path, { certificate: null, token }) === null;

  it.each(Object.entries(METHOD_ROLES))('%s: %s', (path, role) => {
    expect([isIn(path, null), isIn(path, read.token), isIn(path, operate.token)]).toEqual(
      { anyone: [true, true, true], read: [false, true, true], operate: [false, false, true] }[role],
    );
    // No certificate or token of a user opens the service port.
    expect(serviceGate(path, { certificate: null, token: operate.token })).not.toBeNull();
  });

  it.each(onlyBetween)('%s: refused to everybody', (path) => {
    expect(isIn(path, operate.token)).toBe(false);
  });
});

it('a caller who is refused is told why', () => {
  const reader = createApiToken({ name: 'r', role: 'read' });
  const gate = apiGate(() => parseApiTokens('tokens', Buffer.from(reader.line)));
  const authority = CertificateAuthority.create({ subject: 'test CA', ...VALID });
  const stranger = authority.issue({ subject: 'x', names: ['x.example'], roles: ['client'], ...VALID });
  const certificate = new X509Certificate(stranger.cert);
  const LIST = '/spanmesh.v1.Volconf/ListTargets';
  const SET = '/spanmesh.v1.Volconf/SetTarget';
  const { UNAUTHENTICATED, PERMISSION_DENIED } = status;
  expect(gate('/x.Y/Z', { certificate: null, token: reader.token })).toEqual({
    code: PERMISSION_DENIED,
    details: '/x.Y/Z is not for users of the API.',
  });
  expect(gate(LIST, { certificate: null, token: null })).toEqual({
    code: UNAUTHENTICATED,
    details: 'The API needs a token (authorization: Bearer …) or a client certificate.',
  });
  expect(gate(LIST, { certificate, token: null })).toEqual({
    code: UNAUTHENTICATED,
    details: 'The certificate shown is not that of a user of the API.',
  });
  for (const one of [null, certificate]) {
    expect(gate(LIST, { certificate: one, token: 'spm_unknown' })).toEqual({
      code: UNAUTHENTICATED,
      details: 'This token is not known here.',
    });
  }
  expect(gate(SET, { certificate: null, token: reader.token })).toEqual({
    code: PERMISSION_DENIED,
    details: `${SET} needs the role operate; r has the role read.`,
  });
});

it('a user is the one that the token names, or the certificate; a token counts even beside a certificate', () => {
  const reader = createApiToken({ name: 'r', role: 'read' });
  let tokens: ReturnType<typeof parseApiTokens> | null = parseApiTokens('tokens', Buffer.from(reader.line));
  const userOf = apiUserOf(() => tokens);
  const authority = CertificateAuthority.create({ subject: 'test CA', ...VALID });
  const of = (subject: string, names: string[]) => {
    const certificate = new X509Certificate(authority.issue({ subject, names, roles: ['client'], ...VALID }).cert);
    return { certificate, token: null };
  };
  const { read, operate } = API_CLIENT_NAMES;
  expect(userOf(of('ann', [operate]))).toEqual({ name: 'ann', role: 'operate' });
  expect(userOf(of('bob', [read]))).toEqual({ name: 'bob', role: 'read' });
  expect(userOf(of('both', [read, operate]))).toEqual({ name: 'both', role: 'operate' });
  expect([userOf(of('x', ['x.example'])), userOf({ certificate: null, token: null })]).toEqual([null, null]);
  expect(userOf({ ...of('ann', [operate]), token: reader.token })).toMatchObject({ name: 'r', role: 'read' });
  expect(userOf({ ...of('ann', [operate]), token: 'spm_unknown' })).toBeNull();
  tokens = null;
  expect(userOf({ certificate: null, token: reader.token })).toBeNull();
});
