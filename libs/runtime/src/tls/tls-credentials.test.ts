import { afterEach, expect, it } from 'vitest';
import { Certificates } from './certificates.fixture.ts';
import { WatchedProvider } from './tls-credentials.ts';
import type { TlsMaterial } from './tls-material.ts';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** Certificates that the test changes. */
function changing() {
  const certificates = new Certificates();
  ends.push(() => certificates.remove());
  const [first, second] = [certificates.watched(['first']).value, certificates.watched(['second']).value];
  const listeners = new Set<(material: TlsMaterial) => void>();
  const files = {
    value: first,
    onChange: (fn: (material: TlsMaterial) => void) => {
      listeners.add(fn);
      return { unsubscribe: () => void listeners.delete(fn) };
    },
  };
  const change = (material: TlsMaterial) => {
    files.value = material;
    for (const fn of listeners) fn(material);
  };
  return { provider: new WatchedProvider(files), first, second, change };
}

it('a listener is told of the present certificates, and of each change until it is removed', () => {
  const { provider, first, second, change } = changing();
  const told: unknown[] = [];
  const ca = (update: unknown) => void told.push(['ca', update]);
  const identity = (update: unknown) => void told.push(['identity', update]);
  provider.addCaCertificateListener(ca);
  provider.addIdentityCertificateListener(identity);
  const updates = ({ ca: caCertificate, cert: certificate, key: privateKey }: TlsMaterial) => [
    ['ca', { caCertificate }],
    ['identity', { certificate, privateKey }],
  ];
  expect(told.splice(0)).toEqual(updates(first));
  change(second);
  expect(told.splice(0)).toEqual(updates(second));
  provider.removeCaCertificateListener(ca);
  change(first);
  expect(told.splice(0)).toEqual(updates(first).slice(1));
  provider.removeIdentityCertificateListener(identity);
  change(second);
  expect(told).toEqual([]);
});

it('a listener is told that there is no CA', () => {
  const { provider, first, change } = changing();
  const told: unknown[] = [];
  change({ ...first, ca: null });
  provider.addCaCertificateListener((update) => void told.push(update));
  expect(told).toEqual([null]);
});
