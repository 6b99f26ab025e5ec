import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { TlsError } from '../secrets/tls-error.ts';

/** The files of one side's certificates. `ca`: the CAs that it trusts; null: it asks others for no certificates. */
export interface TlsFileNames {
  readonly ca: string | null;
  readonly cert: string;
  readonly key: string;
}

/** One side's certificate (with its chain), its key, and the CAs that it trusts. PEM. */
export interface TlsMaterial {
  readonly ca: Buffer | null;
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly certificate: X509Certificate;
  /** When the first of the certificates expires, milliseconds since 1970. */
  readonly expires: number;
}

/** One version of TLS, and so one set of ciphers: there is nothing to configure, and nothing to downgrade. */
export const TLS_VERSION = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const;

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The certificates of a PEM file, at least one. @throws TlsError no-certificate, bad-certificate */
export function parseCertificates(file: string, pem: Buffer): X509Certificate[] {
  const blocks = pem.toString('latin1').match(PEM_CERTIFICATE) ?? [];
  if (blocks.length === 0) throw new TlsError('no-certificate', file, 'holds no PEM certificate');
  return blocks.map((block, i) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw new TlsError('bad-certificate', file, `certificate ${i + 1} cannot be read`, { cause });
    }
  });
}

/**
 * Reads and checks all of the files, so that accepted ones work. `now`: milliseconds since 1970.
 * @throws TlsError no-certificate, bad-certificate, bad-key, mismatch, not-yet-valid, expired
 */
export function parseTlsMaterial(
  names: TlsFileNames,
  { ca, cert, key }: { readonly ca: Buffer | null; readonly cert: Buffer; readonly key: Buffer },
  now: number,
): TlsMaterial {
  const chain = parseCertificates(names.cert, cert);
  const certificate = chain[0]!;
  if (!certificate.checkPrivateKey(parsePrivateKey(names.key, key))) {
    throw new TlsError('mismatch', names.key, `is not the key of the certificate in ${names.cert}`);
  }
  for (const one of chain) checkTime(names.cert, one, now);
  // Of several CAs one may have expired: that happens when CAs are changed.
  if (ca !== null) parseCertificates(names.ca!, ca);
  const material = { ca, cert, key, certificate, expires: Math.min(...chain.map((one) => Date.parse(one.validTo))) };
  try {
    createSecureContext(secureContextOptions(material));
  } catch (cause) {
    throw new TlsError('bad-certificate', names.cert, `cannot be used: ${(cause as Error).message}`, { cause });
  }
  return material;
}

/** Options of TLS, for either side. */
export function secureContextOptions({
  ca,
  cert,
  key,
}: Pick<TlsMaterial, 'ca' | 'cert' | 'key'>): SecureContextOptions {
  return { cert: [cert], key: [key], ...(ca !== null && { ca: [ca] }), ...TLS_VERSION };
}

function parsePrivateKey(file: string, pem: Buffer): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    const encrypted = /^(-----BEGIN ENCRYPTED |Proc-Type: 4,ENCRYPTED)/m.test(pem.toString('latin1'));
    const why = encrypted ? 'is encrypted: a service cannot type a pass phrase' : 'holds no PEM private key';
    throw new TlsError('bad-key', file, why, { cause });
  }
}

function checkTime(file: string, { validFrom, validTo }: X509Certificate, now: number): void {
  if (now < Date.parse(validFrom)) {
    throw new TlsError('not-yet-valid', file, `is valid from ${day(validFrom)} on; is this host's clock right?`);
  }
  if (now >= Date.parse(validTo)) throw new TlsError('expired', file, `expired on ${day(validTo)}`);
}

function day(text: string): string {
  return new Date(text).toISOString().slice(0, 10);
}
