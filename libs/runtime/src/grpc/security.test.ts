import { unlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApiToken } from '../access/api-tokens.ts';
import { securitySettings } from '../access/security-settings.ts';
import { parseHostPort } from '../address.ts';
import { systemClock } from '../clock.ts';
import { FakeClock } from '../fake-clock.ts';
import { Metrics } from '../metrics.ts';
import { readSettings, SettingError } from '../settings/setting.ts';
import { Certificates, recordingLogger, VALID } from '../tls/certificates.fixture.ts';
import { API_NAME, TOPOLOGY_NAME, VOLCONF_NAME } from '../tls/service-names.ts';
import { LOOK_INTERVAL_MS } from '../tls/watched-files.ts';
import { Security } from './security.ts';

const LOOPBACK = '127.0.0.1:1';
const OPEN = '0.0.0.0:1';

let certificates: Certificates;
let log: ReturnType<typeof recordingLogger>;
beforeEach(() => {
  certificates = new Certificates();
  log = recordingLogger();
});
afterEach(() => certificates.remove());

function make(
  env: Record<string, string>,
  { api = LOOPBACK, service = LOOPBACK, metrics = new Metrics(), clock = systemClock } = {},
): Security {
  return new Security(
    readSettings(securitySettings, { env, flags: {} }),
    {
      names: [TOPOLOGY_NAME],
      listen: {
        grpcListen: parseHostPort(api),
        serviceListen: parseHostPort(service),
      },
    },
    { clock, logger: log.logger, metrics },
  );
}

function settingError(fn: () => unknown): string {
  try {
    fn();
  } catch (error) {
    expect(error).toBeInstanceOf(SettingError);
    expect((error as Error).message).not.toContain('\n');
    return (error as Error).message;
  }
  throw new Error('it was accepted');
}

const serviceTls = (names = [TOPOLOGY_NAME as string]): Record<string, string> => {
  const { ca, cert, key } = certificates.files(names);
  return { SPANMESH_TLS_CA: ca!, SPANMESH_TLS_CERT: cert, SPANMESH_TLS_KEY: key };
};
const apiTls = (): Record<string, string> => {
  const { cert, key } = certificates.files([API_NAME]);
  return { SPANMESH_API_TLS_CERT: cert, SPANMESH_API_TLS_KEY: key };
};
const tokens = () => ({
  SPANMESH_API_TOKENS_FILE: certificates.file(createApiToken({ name: 'ann', role: 'read' }).line),
});
const clientCa = () => ({ SPANMESH_API_TLS_CA: certificates.file(certificates.authority.pem.cert) });

describe('plaintext', () => {
  it.each(['127.0.0.1:1', '127.9.9.9:1', '[::1]:1', 'localhost:1'])('is used on %s', (address) => {
    const { api, service } = make({}, { api: address, service: address });
    expect([api, service]).toEqual([{}, {}]);
    expect(log.lines).toEqual([]);
  });

  // Causes: line SPANMESH_INSECURE: anybody who reaches this address may use it
  it.each(['0.0.0.0:1', '[::]:1', '192.0.2.1:1', 'example.org:1', '128.0.0.1:1', '127.0.0.1.example.org:1'])(
    'is refused on %s, and allowed by one setting, with a warning',
    (address) => {
      expect(settingError(() => make({}, { service: address }))).toBe(
        `SPANMESH_SERVICE_LISTEN: ${address} is not a loopback address: set SPANMESH_TLS_CA, _CERT and _KEY (docs/tls.md), ` +
          'or SPANMESH_INSECURE=true',
      );
      expect(settingError(() => make({}, { api: address }))).toBe(
        `SPANMESH_GRPC_LISTEN: ${address} is not a loopback address: set SPANMESH_API_TLS_CERT and _KEY (docs/tls.md), ` +
          'or SPANMESH_INSECURE=true',
      );
      make({ SPANMESH_INSECURE: 'true' }, { service: address });
      expect(log.lines).toHaveLength(1);
      expect(log.lines[0]).toContain('anybody who reaches this address may use it');
    },
  );

  it('is not enough for the API, which must also know its users', () => {
    expect(settingError(() => make(apiTls(), { api: OPEN }))).toBe(
      `SPANMESH_GRPC_LISTEN: ${OPEN} is not a loopback address: set SPANMESH_API_TOKENS_FILE or SPANMESH_API_TLS_CA ` +
        '(docs/tls.md), or SPANMESH_INSECURE=true',
    );
    for (const users of [tokens(), clientCa()]) make({ ...apiTls(), ...users }, { api: OPEN });
    expect(settingError(() => make(tokens(), { api: OPEN }))).toContain('set SPANMESH_API_TLS_CERT and _KEY');
  });

  it('is not used once there are certificates, not even on loopback', () => {
    const { api, service } = make({ ...serviceTls(), ...apiTls(), ...tokens() }, { api: OPEN, service: OPEN });
    expect([service.credentials?._isSecure(), api.credentials?._isSecure()]).toEqual([true, true]);
    expect([typeof service.gate, typeof api.gate]).toEqual(['function', 'function']);
  });
});

describe('settings that cannot be used', () => {
  it.each([['SPANMESH_TLS_CA'], ['SPANMESH_TLS_CERT'], ['SPANMESH_TLS_KEY']])('%s alone', (name) => {
    const env = serviceTls();
    delete env[name];
    expect(settingError(() => make(env))).toMatch(new RegExp(`^${name}: must be set, too: SPANMESH_TLS_\\w+ and`));
  });

  it.each([['SPANMESH_TLS_CA'], ['SPANMESH_TLS_CERT'], ['SPANMESH_TLS_KEY']])('%s that names no file', (name) => {
    const env = serviceTls();
    unlinkSync(env[name]!);
    expect(settingError(() => make(env))).toBe(`${name}: ${env[name]}: there is no such file`);
  });

  it('half of a certificate for the API, or a CA without one', () => {
    const { SPANMESH_API_TLS_CERT } = apiTls();
    expect(settingError(() => make({ SPANMESH_API_TLS_CERT: SPANMESH_API_TLS_CERT! }))).toMatch(
      /^SPANMESH_API_TLS_KEY: must be set, too/,
    );
    expect(settingError(() => make(clientCa()))).toMatch(/^SPANMESH_API_TLS_CA: needs SPANMESH_API_TLS_CERT/);
  });

  it("another service's certificate", () => {
    const env = serviceTls([VOLCONF_NAME]);
    expect(settingError(() => make(env))).toBe(
      `SPANMESH_TLS_CERT: ${env.SPANMESH_TLS_CERT}: is the certificate of volconf.spanmesh, and must name topology.spanmesh`,
    );
  });

  it('a bad tokens file', () => {
    const file = certificates.file('spm_SECRET');
    const message = settingError(() => make({ SPANMESH_API_TOKENS_FILE: file }));
    expect(message).toMatch(/^SPANMESH_API_TOKENS_FILE: .*: line 1: must be NAME ROLE/);
    expect(message).not.toContain('SECRET');
  });
});

describe('the watched files', () => {
  it('are counted, and are not read any more after a stop', async () => {
    const clock = new FakeClock({ wall: Date.now() });
    const metrics = new Metrics();
    const security = make({ ...serviceTls(), ...tokens() }, { metrics, clock: clock as never });
    security.start();
    expect(clock.nextAt()).toBe(LOOK_INTERVAL_MS);
    const text = await metrics.text();
    const expiry = VALID.notAfter.getTime() / 1000;
    expect(text).toContain(`spanmesh_tls_certificate_expiry_timestamp_seconds{use="service"} ${expiry}`);
    expect(text).toContain('spanmesh_tls_reload_failures_total{use="tokens"} 0');
    expect(text).toContain('spanmesh_calls_refused_total{port="api"} 0');
    await security.stop();
    expect(clock.pending).toBe(0);
  });
});
