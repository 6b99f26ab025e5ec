import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { loadFileDescriptorSetFromBuffer, loadSync } from '@grpc/proto-loader';
import { protoPath as healthProtoPath } from 'grpc-health-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { apiGate, METHOD_ROLES } from './api-access.ts';
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
