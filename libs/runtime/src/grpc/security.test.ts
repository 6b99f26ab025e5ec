import { X509Certificate } from 'node:crypto';
import { unlinkSync } from 'node:fs';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { API_CLIENT_NAMES } from '../access/api-access.ts';
import { createApiToken } from '../access/api-tokens.ts';
import { securitySettings } from '../access/security-settings.ts';
import { parseHostPort } from '../address.ts';
import { type Clock, systemClock } from '../clock.ts';
import { FakeClock } from '../fake-clock.ts';
import { Metrics } from '../metrics.ts';
import { readSettings, SettingError } from '../settings/setting.ts';
import { CertificateAuthority } from '../tls/certificate-authority.ts';
import { Certificates, recordingLogger, VALID } from '../tls/certificates.fixture.ts';
import { gatewayCertificateName } from '../tls/gateway-certificate.ts';
import { API_NAME, LINK_GATEWAY_NAME, type ServiceName, TOPOLOGY_NAME, VOLCONF_NAME } from '../tls/service-names.ts';
import { meaning } from '../tls/tls-credentials.ts';
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
  {
    api = LOOPBACK,
    service = LOOPBACK,
    metrics = new Metrics(),
    clock = systemClock,
    names = [TOPOLOGY_NAME],
    gateway,
    protocolVersion,
  }: {
    api?: string;
    service?: string;
    metrics?: Metrics;
    clock?: Clock;
    names?: readonly ServiceName[];
    gateway?: string;
    protocolVersion?: number;
  } = {},
): Security {
  return new Security(
    readSettings(securitySettings, { env, flags: {} }),
    {
      names,
      gateway,
      protocolVersion,
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
    const security = make({ ...serviceTls(), ...tokens() }, { metrics, clock });
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

describe('who a caller is', () => {
  const ann = createApiToken({ name: 'ann', role: 'operate' });
  const env = () => ({ SPANMESH_API_TOKENS_FILE: certificates.file(ann.line) });
  const user = { certificate: null, token: ann.token };
  const stranger = { certificate: null, token: 'spm_unknown' };
  const LIST = '/spanmesh.v1.Volconf/ListTargets';

  it('is known to the API by the token', () => {
    const security = make(env());
    const { api } = security;
    expect([api.credentials, security.asksForUsers]).toEqual([undefined, true]);
    expect([api.userOf?.(user), api.userOf?.(stranger)]).toEqual(['ann', null]);
    expect([api.gate?.(LIST, user), api.gate?.(LIST, stranger)?.details]).toEqual([
      null,
      'This token is not known here.',
    ]);
    expect([security.userOf(ann.token), security.userOf('spm_unknown')]).toEqual([
      expect.objectContaining({ name: 'ann', role: 'operate' }),
      null,
    ]);
    const open = make({});
    expect([open.asksForUsers, open.userOf(ann.token)]).toEqual([false, null]);
  });

  it('is known to the service port by whom a call is passed on for; a service itself has no name', () => {
    const { service } = make(env());
    const passedOn = (caller: typeof user) => ({
      certificate: null,
      token: null,
      onBehalf: { ...caller, address: '' },
    });
    expect(service.credentials).toBeUndefined();
    expect([service.userOf?.(passedOn(user)), service.userOf?.(passedOn(stranger))]).toEqual(['ann', null]);
    expect([service.userOf?.(user), service.userOf?.({ ...user, onBehalf: null })]).toEqual([null, null]);
    expect([service.gate?.(LIST, passedOn(user)), service.gate?.(LIST, user)]).toEqual([null, null]);
    expect(service.gate?.(LIST, passedOn(stranger))?.details).toMatch(
      /^This token is not known here\. The call was passed/,
    );
  });

  it('is not asked for at a service port with TLS if the API asks nobody', () => {
    const { service } = make(serviceTls());
    expect(service.gate?.(LIST, user)?.details).toBe('The service port is for services with a certificate.');
    expect(service.userOf?.({ ...user, onBehalf: { ...user, address: '' } })).toBeNull();
  });

  it('is believed by the certificate that another process passes on, if the CA of our users has issued it', () => {
    const issuedBy = (authority: CertificateAuthority) => {
      const { cert } = authority.issue({ subject: 'bob', names: [API_CLIENT_NAMES.read], roles: ['client'], ...VALID });
      return { certificate: new X509Certificate(cert), token: null, address: '' };
    };
    const passedOn = (onBehalf: ReturnType<typeof issuedBy>) => ({ certificate: null, token: null, onBehalf });
    const [ours, theirs] = [
      issuedBy(certificates.authority),
      issuedBy(CertificateAuthority.create({ subject: 'another CA', ...VALID })),
    ];
    const { service } = make({ ...apiTls(), ...clientCa() });
    expect([service.userOf?.(passedOn(ours)), service.userOf?.(passedOn(theirs))]).toEqual(['bob', null]);
    expect([service.gate?.(LIST, passedOn(ours)), service.gate?.(LIST, passedOn(theirs))?.code]).toEqual([
      null,
      status.UNAUTHENTICATED,
    ]);
    // Without a CA for users no certificate is believed, even with a token beside it.
    const { service: without } = make({ ...apiTls(), ...env() });
    expect(without.userOf?.(passedOn(ours))).toBeNull();
    expect(without.userOf?.(passedOn({ ...ours, token: ann.token } as never))).toBe('ann');
  });
});

describe('a certificate of the API', () => {
  it('is shown to all; its port asks for one only if there is a CA of users', () => {
    const asks = (env: Record<string, string>) => {
      const { api } = make({ ...apiTls(), ...env });
      const { requestCert, rejectUnauthorized } = api.credentials?._getConstructorOptions() ?? {};
      return [requestCert, rejectUnauthorized];
    };
    expect([asks({}), asks(clientCa())]).toEqual([
      [false, false],
      [true, false],
    ]);
    const { service } = make(serviceTls());
    expect(service.credentials?._getConstructorOptions()).toMatchObject({
      requestCert: true,
      rejectUnauthorized: true,
    });
  });

  it('names the setting whose file is bad', () => {
    const { SPANMESH_API_TLS_KEY: key = '', ...rest } = apiTls();
    const bad = certificates.file('bad');
    expect(settingError(() => make({ ...rest, SPANMESH_API_TLS_KEY: bad }))).toMatch(/^SPANMESH_API_TLS_KEY: /);
    expect(settingError(() => make({ SPANMESH_API_TLS_CERT: bad, SPANMESH_API_TLS_KEY: key }))).toMatch(
      /^SPANMESH_API_TLS_CERT: /,
    );
    expect(settingError(() => make({ ...apiTls(), SPANMESH_API_TLS_CA: bad }))).toMatch(/^SPANMESH_API_TLS_CA: /);
  });
});

describe('a channel to another service', () => {
  it('is plain without certificates, and with them demands the name of the service', () => {
    const plain = make({}).channel(VOLCONF_NAME);
    expect([plain.credentials._isSecure(), plain.options]).toEqual([false, {}]);
    const secured = make(serviceTls()).channel(VOLCONF_NAME);
    expect([secured.credentials._isSecure(), secured.options]).toEqual([true, meaning(VOLCONF_NAME)]);
  });

  it('says another version of the protocol only if it is given', () => {
    const { options } = make({}, { protocolVersion: 7 }).channel(VOLCONF_NAME);
    expect(options.interceptors).toHaveLength(1);
  });
});

describe('the certificate of a gateway', () => {
  it('must carry the name of the gateway, too', () => {
    const env = serviceTls([LINK_GATEWAY_NAME, gatewayCertificateName('gw-1')]);
    const names = [LINK_GATEWAY_NAME] as const;
    expect(make(env, { names, gateway: 'gw-1' }).serviceFiles).not.toBeNull();
    expect(settingError(() => make(env, { names, gateway: 'gw-2' }))).toMatch(
      new RegExp(`and must name ${gatewayCertificateName('gw-2')}$`),
    );
  });
});
