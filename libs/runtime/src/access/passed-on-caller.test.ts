import { X509Certificate } from 'node:crypto';
import { Metadata } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { CertificateAuthority } from '../tls/certificate-authority.ts';
import { VALID } from '../tls/certificates.fixture.ts';
import { callerOf, FORWARDED_HEADER, noteCaller, passingOn, takePassedOn } from './passed-on-caller.ts';

// Written once more: a change of them must be noticed.
const MAX_TOKEN_CHARS = 512;
const MAX_PASSED_CERTIFICATE_BYTES = 8192;

const NOBODY = { certificate: null, token: null, address: '192.0.2.7' };
const authority = CertificateAuthority.create({ subject: 'test CA', ...VALID });
const issued = (names: string[]) =>
  new X509Certificate(authority.issue({ subject: 'ann', names, roles: ['client'], ...VALID }).cert);

/**
 * A certificate of exactly `bytes` of DER. Signatures differ in length by a byte or two, so one is made until it fits.
 */
function issuedWithBytes(bytes: number): X509Certificate {
  const chars = 1000;
  const name = 'x'.repeat(bytes - issued(['x'.repeat(chars)]).raw.length + chars);
  for (let tries = 0; tries < 1000; tries++) {
    const certificate = issued([name]);
    if (certificate.raw.length === bytes) return certificate;
  }
  throw new Error(`no certificate has ${bytes} bytes`);
}

describe('the caller of a call that is passed on', () => {
  it('is identified by certificate or token to the process that answers, and to no process after that', () => {
    const certificate = issued(['operate.clients.spanmesh']);
    const headers = passingOn({ certificate, token: 'spm_x', address: '2001:db8::7' });
    const taken = takePassedOn(headers);
    expect(taken).toMatchObject({ token: 'spm_x', address: '2001:db8::7' });
    expect(taken?.certificate?.fingerprint256).toBe(certificate.fingerprint256);
    expect(Object.keys(headers.getMap())).toEqual([FORWARDED_HEADER]);
  });

  it('is nobody where neither was shown', () => {
    expect(takePassedOn(passingOn(NOBODY))).toEqual(NOBODY);
  });

  it('is not named for a call that a service has made for itself', () => {
    const headers = passingOn({ ...NOBODY, certificate: issued(['topology.spanmesh']), isService: true });
    expect(headers.getMap()).toEqual({ [FORWARDED_HEADER]: '1' });
    expect(takePassedOn(headers)).toBeNull();
  });

  it.each<[string, Record<string, string | Buffer>]>([
    ['a token that is too long', { 'spanmesh-caller-token': 'x'.repeat(MAX_TOKEN_CHARS + 1) }],
    ['no certificate', { 'spanmesh-caller-certificate-bin': Buffer.from('no certificate') }],
    ['a long certificate', { 'spanmesh-caller-certificate-bin': Buffer.alloc(MAX_PASSED_CERTIFICATE_BYTES + 1) }],
    ['no address', { 'spanmesh-caller-address': 'user:ann' }],
  ])('is not identified by %s', (_, headers) => {
    const metadata = new Metadata();
    metadata.set(FORWARDED_HEADER, 'caller');
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    expect(takePassedOn(metadata)).toEqual({ ...NOBODY, address: '' });
    expect(Object.keys(metadata.getMap())).toEqual([FORWARDED_HEADER]);
  });

  // Limits: access/passed-on-caller.ts MAX_PASSED_CERTIFICATE_BYTES
  it('is identified by a certificate of the largest size, and not by one that is a byte longer', () => {
    const largest = issuedWithBytes(MAX_PASSED_CERTIFICATE_BYTES);
    const larger = issuedWithBytes(MAX_PASSED_CERTIFICATE_BYTES + 1);
    const passed = (certificate: X509Certificate) => passingOn({ ...NOBODY, certificate });
    expect(takePassedOn(passed(largest))?.certificate?.fingerprint256).toBe(largest.fingerprint256);
    expect(Object.keys(passed(larger).getMap())).toEqual([FORWARDED_HEADER, 'spanmesh-caller-address']);
    const headers = passingOn(NOBODY);
    headers.set('spanmesh-caller-certificate-bin', larger.raw);
    expect(takePassedOn(headers)).toEqual(NOBODY);
  });

  it('is passed on by a token of the greatest length', () => {
    const token = 'x'.repeat(MAX_TOKEN_CHARS);
    expect(takePassedOn(passingOn({ ...NOBODY, token }))).toEqual({ ...NOBODY, token });
  });

  it('is not passed on by a certificate or token that is longer than the other side takes', () => {
    const many = issued(Array.from({ length: 400 }, (_, i) => `name-${i}.clients.example.org`));
    expect(many.raw.length).toBeGreaterThan(MAX_PASSED_CERTIFICATE_BYTES);
    const headers = passingOn({ certificate: many, token: 'x'.repeat(MAX_TOKEN_CHARS + 1), address: '' });
    expect(headers.getMap()).toEqual({ [FORWARDED_HEADER]: 'caller' });
  });
});

describe('the caller of a call', () => {
  const call = (headers: Record<string, string>) => {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    return { metadata, getPeer: () => '[2001:db8::1]:4711' };
  };

  it('is the one noted by an interceptor, whatever the headers say', () => {
    const made = call({ 'spanmesh-caller-address': '192.0.2.1', authorization: 'Bearer x' });
    noteCaller(made.metadata, NOBODY);
    expect(callerOf(made)).toBe(NOBODY);
  });

  it('is the other end of the connection where no gate asks; there no headers of a call passed on are believed', () => {
    const made = call({ [FORWARDED_HEADER]: 'caller', 'spanmesh-caller-address': '192.0.2.1' });
    expect(callerOf(made)).toEqual({ certificate: null, token: null, address: '2001:db8::1' });
    expect(callerOf(call({ authorization: 'Bearer  abc' })).token).toBe('abc');
    expect(callerOf(call({ authorization: 'Basic abc' })).token).toBeNull();
  });
});
