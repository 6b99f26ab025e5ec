import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TlsError } from '../secrets/tls-error.ts';
import { Certificates, VALID } from './certificates.fixture.ts';
import { parseTlsMaterial, type TlsFileNames } from './tls-material.ts';

const YEAR_MS = 365 * 86_400_000;

describe('parseTlsMaterial', () => {
  let files: Certificates;
  let good: TlsFileNames;
  beforeAll(() => {
    files = new Certificates();
    good = files.files(['topology.spanmesh']);
  });
  afterAll(() => files.remove());

  const parse = ({ ca, cert, key }: TlsFileNames, now = Date.now()) =>
    parseTlsMaterial(
      { ca, cert, key },
      { ca: ca === null ? null : readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) },
      now,
    );

  it('accepts files that belong together', () => {
    expect(parse(good).expires).toBe(VALID.notAfter.getTime());
    expect(parse({ ...good, ca: null }).ca).toBeNull();
  });

  it.each<[string, (good: TlsFileNames) => Partial<TlsFileNames>, RegExp]>([
    ['no-certificate', () => ({ cert: files.file('hello') }), /holds no PEM certificate$/],
    ['no-certificate', () => ({ ca: files.file('') }), /holds no PEM certificate$/],
    ['bad-certificate', () => ({ ca: files.file(pem('CERTIFICATE', 'AAAA')) }), /certificate 1 cannot be read$/],
    ['bad-key', () => ({ key: files.file(pem('PRIVATE KEY', 'c2VjcmV0')) }), /holds no PEM private key$/],
    ['bad-key', () => ({ key: files.file(encryptedKey()) }), /is encrypted: a service cannot type a pass phrase$/],
    ['mismatch', () => ({ key: files.files(['other']).key }), /is not the key of the certificate in /],
  ])('refuses with %s', (code, spoil, message) => {
    const error = failure(() => parse({ ...good, ...spoil(good) }));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.message.startsWith(error.file)).toBe(true);
    // Errors are logged, so they must repeat nothing of a file's content.
    expect(error.message).not.toContain('c2VjcmV0');
  });

  it.each([
    ['expired', YEAR_MS, /: expired on \d{4}-\d\d-\d\d$/],
    ['not-yet-valid', -YEAR_MS, /: is valid from \d{4}-\d\d-\d\d on; is this host's clock right\?$/],
  ])('refuses a certificate that is %s', (code, later, message) => {
    const error = failure(() => parse(good, Date.now() + later));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });
});

function failure(fn: () => unknown): TlsError {
  try {
    fn();
  } catch (error) {
    expect(error).toBeInstanceOf(TlsError);
    return error as TlsError;
  }
  throw new Error('it did not fail');
}

function pem(kind: string, body: string): string {
  return `-----BEGIN ${kind}-----\n${body}\n-----END ${kind}-----\n`;
}

function encryptedKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }).toString();
}
