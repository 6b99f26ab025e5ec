import { X509Certificate } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from '../main.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';

let parent: string;
let directory: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'spanmesh-certs-'));
  directory = join(parent, 'tls');
});
afterEach(() => rmSync(parent, { recursive: true }));

async function certs(...args: string[]) {
  const terminal = new RecordingTerminal();
  const code = await main(['certs', ...args], terminal);
  return { code, printed: terminal.printed, noted: terminal.noted };
}
const certificate = (name: string, from = directory) => new X509Certificate(readFileSync(join(from, `${name}.crt`)));
const NAMES = ['api', 'ca', 'link-gateway', 'operator', 'reader', 'standalone', 'topology', 'volconf'];

describe('certs init', () => {
  it('makes a CA and the certificates signed by it; only the owner can read keys', async () => {
    const { code, printed, noted } = await certs('init', directory, '--host', 'api.example.org', '--host', '192.0.2.7');
    expect([code, noted]).toEqual([0, '']);
    expect(printed).toMatch(/^8 certificates in .*, good until \d{4}-\d\d-\d\d: ca, link-gateway, /);
    expect(readdirSync(directory).sort()).toEqual(NAMES.flatMap((name) => [`${name}.crt`, `${name}.key`]));
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    const ca = certificate('ca');
    expect(ca.ca).toBe(true);
    for (const name of NAMES) {
      expect(statSync(join(directory, `${name}.key`)).mode & 0o777).toBe(0o600);
      expect(certificate(name).verify(ca.publicKey), name).toBe(true);
    }
    expect(certificate('topology').subjectAltName).toBe('DNS:topology.spanmesh');
    // The default name of a gateway.
    expect(certificate('link-gateway').subjectAltName).toBe(
      'DNS:link-gateway.spanmesh, DNS:gateway.link-gateway.spanmesh',
    );
    expect(certificate('api').subjectAltName).toBe(
      'DNS:api.spanmesh, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:api.example.org, ' +
        'IP Address:192.0.2.7',
    );
    expect(certificate('operator').subjectAltName).toBe('DNS:operate.clients.spanmesh');
  });

  it('makes a certificate for NATS servers, if their names are given', async () => {
    const { code, printed } = await certs('init', directory, '--nats', 'nats-0.nats', '--nats', '192.0.2.8');
    expect(code).toBe(0);
    expect(printed).toMatch(/^9 certificates in .*, reader, nats\n/);
    const { subjectAltName, keyUsage } = certificate('nats');
    expect(subjectAltName).toBe(
      'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:nats-0.nats, IP Address:192.0.2.8',
    );
    // Extended key usage: server and client.
    expect(keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  });

  it('makes a pair for each named gateway, and one for all that fit a pattern', async () => {
    const { printed } = await certs('init', directory, '--gateway', 'a', '--gateway', 'b-*', '--gateway', 'c');
    expect(printed).toContain(': ca, link-gateway, link-gateway-a, link-gateway-c, topology, ');
    const names = ['link-gateway', 'link-gateway-a', 'link-gateway-c', 'standalone'].map(
      (name) => certificate(name).subjectAltName,
    );
    expect(names).toEqual([
      'DNS:link-gateway.spanmesh, DNS:b-*.link-gateway.spanmesh',
      'DNS:link-gateway.spanmesh, DNS:a.link-gateway.spanmesh',
      'DNS:link-gateway.spanmesh, DNS:c.link-gateway.spanmesh',
      'DNS:link-gateway.spanmesh, DNS:topology.spanmesh, DNS:volconf.spanmesh, DNS:gateway.link-gateway.spanmesh, ' +
        'DNS:a.link-gateway.spanmesh, DNS:b-*.link-gateway.spanmesh, DNS:c.link-gateway.spanmesh',
    ]);
    expect((await certs('init', join(parent, 'exact'), '--gateway', 'a')).printed).toContain(
      ': ca, link-gateway-a, topology',
    );
  });

  it('overwrites nothing', async () => {
    await certs('init', directory);
    rmSync(join(directory, 'ca.crt'));
    const before = readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'));
    const { code, noted } = await certs('init', directory);
    expect(code).toBe(2);
    expect(noted).toContain(`${join(directory, 'ca.key')} is there already, and nothing is overwritten`);
    expect(readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'))).toEqual(before);
  });

  it('renews certificates with an existing CA, and leaves its key where it is', async () => {
    await certs('init', directory);
    const next = join(parent, 'next');
    expect(await certs('init', next, '--authority', directory, '--days', '30')).toMatchObject({ code: 0, noted: '' });
    expect(readdirSync(next)).not.toContain('ca.key');
    expect(certificate('ca', next).fingerprint256).toBe(certificate('ca').fingerprint256);
    expect(certificate('api', next).verify(certificate('ca').publicKey)).toBe(true);
    const days = (Date.parse(certificate('api', next).validTo) - Date.now()) / 86_400_000;
    expect(Math.round(days)).toBe(30);
    expect(await certs('init', join(parent, 'x'), '--authority', parent)).toMatchObject({ code: 2 });
  });

  it.each([
    [['--days', '0'], /Expected a number from 1/],
    [['--host', 'a b'], /Expected a host name or an address/],
    [['--gateway', 'a*b'], /Expected a name of a-z, 0-9 and -, or the beginning of names/],
  ])('refuses %j', async (args, message) => {
    const { code, noted } = await certs('init', directory, ...args);
    expect(code).toBe(2);
    expect(noted).toMatch(message);
  });
});

describe('certs check', () => {
  const line = (printed: string, file: string) => printed.split('\n').find((text) => text.startsWith(`${file} `));

  it('prints for each certificate when it ends and whom it names', async () => {
    await certs('init', directory);
    const { code, printed } = await certs('check', directory);
    expect(code).toBe(0);
    expect(line(printed, 'standalone.crt')).toMatch(
      /\d{4}-\d\d-\d\d +ok +link-gateway\.spanmesh, topology\.spanmesh, volconf\.spanmesh, gateway\.link-gateway\.spanmesh$/,
    );
    expect(printed.split('\n')).toHaveLength(1 + NAMES.length + 1);
  });

  it('says what is wrong with a certificate', async () => {
    await certs('init', directory);
    await certs('init', join(parent, 'other'), '--days', '5');
    const copy = (from: string, to: string) =>
      writeFileSync(join(directory, to), readFileSync(join(parent, 'other', from)));
    copy('topology.crt', 'topology.crt');
    copy('volconf.key', 'volconf.key');
    chmodSync(join(directory, 'reader.key'), 0o644);
    writeFileSync(join(directory, 'api.crt'), '\x1b[2J');
    const { code, printed, noted } = await certs('check', directory);
    expect(code).toBe(1);
    expect(noted).toBe('spanmesh: 4 of 8 certificates cannot be used, or not for long\n');
    expect(line(printed, 'topology.crt')).toContain('not signed by ca.crt');
    expect(line(printed, 'volconf.crt')).toContain('its .key is that of another');
    expect(line(printed, 'reader.crt')).toContain('its .key can be read by others');
    expect(line(printed, 'api.crt')).toContain('holds no PEM certificate');
    expect((await certs('check', join(parent, 'other'))).printed).toMatch(/ends in 5 days/);
  });

  it('prints a list with the usual options', async () => {
    await certs('init', directory);
    chmodSync(join(directory, 'reader.key'), 0o644);
    const { printed } = await certs('check', directory, '--sort=-file', '--limit', '2', '--columns', 'file');
    expect(printed).toBe('FILE\nvolconf.crt\ntopology.crt\n');
    const whole = await certs('check', directory, '-o', 'json');
    expect(whole.code).toBe(1);
    const { certificates } = JSON.parse(whole.printed) as { certificates: { file: string }[] };
    expect(certificates.find(({ file }) => file === 'reader.crt')).toEqual({
      file: 'reader.crt',
      expires: certificate('reader').validToDate.toISOString().slice(0, 10),
      ok: false,
      state: 'its .key can be read by others',
      names: ['read.clients.spanmesh'],
    });
  });

  it('refuses a directory without certificates', async () => {
    expect(await certs('check', parent)).toMatchObject({ code: 2 });
    expect(await certs('check', join(parent, 'none'))).toMatchObject({ code: 2 });
  });
});
