import { createPrivateKey, type X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readSecretFile } from '@spanmesh/runtime/secrets/secret-file';
import { TlsError } from '@spanmesh/runtime/secrets/tls-error';
import { parseCertificates } from '@spanmesh/runtime/tls/tls-material';
import { Failure } from '../failure.ts';
import type { TableOptions } from '../list-options.ts';
import { fileTrouble } from '../output/file-trouble.ts';
import { printList } from '../output/print-list.ts';
import { printable } from '../output/printable.ts';
import type { Column } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';
import { CA_FILE } from './certificate-set.ts';

const DAY_MS = 86_400_000;
/** A certificate that ends within this time is reported, days. */
const SOON_DAYS = 30;

/** Findings about one certificate. */
interface Finding {
  readonly file: string;
  readonly names: string;
  readonly expires: string;
  readonly verdict: string;
  readonly isBad: boolean;
}

const COLUMNS: readonly Column<Finding>[] = [
  { heading: 'FILE', text: ({ file }) => printable(file) },
  { heading: 'EXPIRES', text: ({ expires }) => expires },
  { heading: 'STATE', text: ({ verdict }) => printable(verdict), role: ({ isBad }) => (isBad ? 'bad' : 'good') },
  { heading: 'NAMES', narrow: 'cut', text: ({ names }) => printable(names) },
];

/**
 * Prints for each certificate of a directory (`*.crt`) when it ends, whom it names, and what is wrong with it.
 * @throws Failure usage: no directory; refused: something is wrong
 */
export async function checkCertificates(directory: string, options: TableOptions, terminal: Terminal): Promise<void> {
  let findings: readonly Finding[] = [];
  const fetch = async () => {
    findings = filesOf(directory).map((file) => check(directory, file));
    return { rows: findings, document };
  };
  await printList({ columns: COLUMNS, fetch }, options, terminal);
  const bad = findings.filter(({ isBad }) => isBad);
  if (bad.length > 0) {
    throw new Failure('refused', `${bad.length} of ${findings.length} certificates cannot be used, or not for long`);
  }
}

function document(findings: readonly Finding[]): unknown {
  return {
    certificates: findings.map(({ file, expires, verdict, isBad, names }) => ({
      file,
      expires,
      ok: !isBad,
      state: verdict,
      names: names === '' ? [] : names.split(', '),
    })),
  };
}

function filesOf(directory: string): string[] {
  let files: string[];
  try {
    files = readdirSync(directory).filter((name) => name.endsWith('.crt'));
  } catch (error) {
    throw new Failure('usage', `cannot read ${directory}: ${fileTrouble(error)}`, { cause: error });
  }
  if (files.length === 0) throw new Failure('usage', `${directory} holds no certificates (*.crt)`);
  return files.sort();
}

function check(directory: string, file: string): Finding {
  try {
    const certificate = read(join(directory, file));
    const problem = problemOf(certificate, directory, file);
    return {
      file,
      names: (certificate.subjectAltName ?? '').replaceAll(/DNS:|IP Address:/g, ''),
      expires: new Date(certificate.validTo).toISOString().slice(0, 10),
      verdict: problem ?? 'ok',
      isBad: problem !== null,
    };
  } catch (error) {
    if (!(error instanceof TlsError)) throw error;
    return { file, names: '', expires: '', verdict: error.message, isBad: true };
  }
}

function problemOf(certificate: X509Certificate, directory: string, file: string): string | null {
  const left = (Date.parse(certificate.validTo) - Date.now()) / DAY_MS;
  if (left <= 0) return 'expired';
  if (Date.parse(certificate.validFrom) > Date.now()) return 'not valid yet';
  const authority = join(directory, `${CA_FILE}.crt`);
  if (existsSync(authority)) {
    const ca = read(authority);
    if (!(certificate.checkIssued(ca) && certificate.verify(ca.publicKey))) return `not signed by ${CA_FILE}.crt`;
  }
  const keyFile = join(directory, file.replace(/\.crt$/, '.key'));
  if (existsSync(keyFile)) {
    if (!isKeyOf(certificate, keyFile)) return 'its .key is that of another, or no key';
    if ((statSync(keyFile).mode & 0o077) !== 0) return 'its .key can be read by others';
  }
  return left < SOON_DAYS ? `ends in ${Math.ceil(left)} days` : null;
}

function isKeyOf(certificate: X509Certificate, keyFile: string): boolean {
  // An unreadable key file is reported by another finding.
  const pem = readSecretFile(keyFile);
  try {
    return certificate.checkPrivateKey(createPrivateKey(pem));
  } catch {
    return false;
  }
}

function read(file: string): X509Certificate {
  return parseCertificates(file, readSecretFile(file))[0]!;
}
