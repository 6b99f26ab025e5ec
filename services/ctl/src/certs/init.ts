import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSecretFile } from '@spanmesh/runtime/secrets/secret-file';
import { CertificateAuthority, type Issued } from '@spanmesh/runtime/tls/certificate-authority';
import { Failure } from '../failure.ts';
import { fileTrouble } from '../output/file-trouble.ts';
import { type Terminal, write } from '../terminal.ts';
import { CA_FILE, type CertificateWishes, certificatePlans } from './certificate-set.ts';

export interface InitQuery extends CertificateWishes {
  readonly directory: string;
  /** How long the certificates are valid. */
  readonly days: number;
  /** Directory of the CA that signs; undefined: a new CA is made. */
  readonly authority?: string;
}

const DAY_MS = 86_400_000;
/**
 * A CA is valid for long: the certificates that it signs are renewed often, but its own file, which every host has,
 * seldom.
 */
const CA_DAYS = 3650;
/** Clocks of hosts differ: a certificate made now must count as valid on all of them. */
const CLOCK_SKEW_MS = 3_600_000;

/**
 * Makes a CA and the certificates of every service and of two users of the API. Writes nothing if any of the files
 * exists.
 * @throws Failure usage
 */
export async function initCertificates(query: InitQuery, terminal: Terminal): Promise<void> {
  const { directory, days } = query;
  const plans = certificatePlans(query);
  const present = [CA_FILE, ...plans.map(({ file }) => file)]
    .flatMap((file) => [`${file}.crt`, `${file}.key`])
    .find((file) => existsSync(join(directory, file)));
  if (present !== undefined) {
    throw new Failure(
      'usage',
      `${join(directory, present)} is there already, and nothing is overwritten: take another directory`,
    );
  }
  const now = Date.now();
  const notBefore = new Date(now - CLOCK_SKEW_MS);
  const authority =
    query.authority === undefined
      ? CertificateAuthority.create({ subject: 'spanmesh CA', notBefore, notAfter: new Date(now + CA_DAYS * DAY_MS) })
      : readAuthority(query.authority);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // The key of an existing CA stays where it is.
  if (query.authority === undefined) writePair(directory, CA_FILE, authority.pem);
  else writeNew(join(directory, `${CA_FILE}.crt`), authority.pem.cert, 0o644);
  const notAfter = new Date(now + days * DAY_MS);
  for (const { file, ...request } of plans) {
    writePair(directory, file, authority.issue({ ...request, notBefore, notAfter }));
  }
  await write(
    terminal.out,
    `${plans.length + 1} certificates in ${directory}, good until ${notAfter.toISOString().slice(0, 10)}: ` +
      `${[CA_FILE, ...plans.map(({ file }) => file)].join(', ')}\n` +
      (query.authority === undefined
        ? `Keep ${join(directory, `${CA_FILE}.key`)} where no service runs: its holder can pose as any service.\n`
        : ''),
  );
}

function readAuthority(directory: string): CertificateAuthority {
  const read = (ending: string) => readSecretFile(join(directory, `${CA_FILE}.${ending}`)).toString('utf8');
  try {
    return new CertificateAuthority({ cert: read('crt'), key: read('key') });
  } catch (error) {
    throw new Failure('usage', `no CA to sign with: ${(error as Error).message}`, { cause: error });
  }
}

function writePair(directory: string, file: string, { cert, key }: Issued): void {
  writeNew(join(directory, `${file}.key`), key, 0o600);
  writeNew(join(directory, `${file}.crt`), cert, 0o644);
}

function writeNew(path: string, content: string, mode: number): void {
  try {
    writeFileSync(path, content, { mode, flag: 'wx' });
  } catch (error) {
    throw new Failure('usage', `cannot write ${path}: ${fileTrouble(error)}`, { cause: error });
  }
}
