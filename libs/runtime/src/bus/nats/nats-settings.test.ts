import { describe, expect, it } from 'vitest';
import { readSettings } from '../../settings/setting.ts';
import { natsSettings, parseNatsServer } from './nats-settings.ts';

/** PATH_MAX of Linux. */
const LONGEST_PATH = 4096;

function read(env: Record<string, string>) {
  return readSettings(natsSettings, { env, flags: {} });
}

describe('settings of NATS', () => {
  // Limits: nats/nats-settings.ts MAX_PATH_CHARS
  it('have paths at most as long as the system takes', () => {
    const longest = `/${'x'.repeat(LONGEST_PATH - 1)}`;
    expect(read({ SPANMESH_NATS_CREDS_FILE: longest }).natsCredsFile).toBe(longest);
    expect(() => read({ SPANMESH_NATS_CREDS_FILE: `${longest}x` })).toThrow('must have at most 4096 characters');
  });

  // Limits: nats/nats-settings.ts MAX_REPLICAS
  it('ask for one copy of a bucket, and for five at most', () => {
    expect(read({}).natsReplicas).toBe(1);
    expect(read({ SPANMESH_NATS_REPLICAS: '5' }).natsReplicas).toBe(5);
    for (const none of ['0', '6']) expect(() => read({ SPANMESH_NATS_REPLICAS: none })).toThrow('must be 1..5');
  });

  it('name 32 servers at most', () => {
    const named = (servers: number) => Array.from({ length: servers }, (_, i) => `nats-${i}`).join();
    expect(read({ SPANMESH_NATS_URL: named(32) }).natsUrl).toHaveLength(32);
    expect(() => read({ SPANMESH_NATS_URL: named(33) })).toThrow('must have at most 32 values');
  });

  it('never show text that may be a password', () => {
    const password = { SPANMESH_NATS_URL: 'nats://ann:SECRET@nats' };
    expect(() => read(password)).toThrow(/credentials/);
    expect(() => read(password)).not.toThrow(/SECRET/);
  });
});

describe('a server of NATS', () => {
  it.each([
    ['nats', { host: 'nats', port: 4222, tls: false }],
    ['nats:1', { host: 'nats', port: 1, tls: false }],
    ['nats://nats/', { host: 'nats', port: 4222, tls: false }],
    ['tls://nats:4223', { host: 'nats', port: 4223, tls: true }],
    ['tls://[2001:db8::1]:4223', { host: '2001:db8::1', port: 4223, tls: true }],
  ])('may be written as %s', (written, server) => {
    expect(parseNatsServer(written)).toEqual(server);
  });

  it.each(['', 'http://nats', 'nats://', 'nats/x', 'nats:0', 'nats:65536'])('%j is none', (written) => {
    expect(() => parseNatsServer(written)).toThrow();
  });
});

it('a text that is no server of NATS is refused with the form that is meant', () => {
  for (const text of ['', 'http://nats', 'nats://']) {
    expect(() => parseNatsServer(text)).toThrow('must be nats://host:port or tls://host:port');
  }
});

it('what may hold a password is shown nowhere', () => {
  const secret = Object.values(natsSettings).flatMap((one) => (one.secret ? [one.env] : []));
  expect(secret).toEqual(['SPANMESH_NATS_URL', 'SPANMESH_NATS_PASSWORD', 'SPANMESH_NATS_TOKEN']);
});
