import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../clock.ts';
import { createLogger } from '../log/logger.ts';
import { CertificateAuthority, type CertificateRequest } from './certificate-authority.ts';
import { type TlsFiles, watchTlsFiles } from './tls-files.ts';
import type { TlsFileNames } from './tls-material.ts';

const DAY_MS = 86_400_000;

/** Validity of the tests' certificates by default. */
export const VALID = {
  notBefore: new Date(Date.now() - DAY_MS),
  notAfter: new Date(Math.floor(Date.now() / 1000) * 1000 + DAY_MS),
};

/** A logger that keeps its lines in memory. */
export function recordingLogger() {
  const lines: string[] = [];
  const logger = createLogger({ level: 'trace', service: 'test', destination: { write: (line) => lines.push(line) } });
  return { lines, logger };
}

/** A directory of certificates that is removed after the test. All files are PEM. */
export class Certificates {
  readonly directory = mkdtempSync(join(tmpdir(), 'spanmesh-certificates-'));
  readonly authority = CertificateAuthority.create({ subject: 'test CA', ...VALID });
  #files = 0;
  #versions = 0;

  /** Writes a file and returns its path. */
  file(content: string | Uint8Array, name = `file-${++this.#files}`): string {
    const path = join(this.directory, name);
    writeFileSync(path, content);
    return path;
  }

  /** Writes the files of a certificate with these names, and of the CA to trust (default: its own; null: none). */
  files(
    names: readonly string[],
    {
      authority = this.authority,
      believes = this.authority,
      ...request
    }: Partial<CertificateRequest> & { authority?: CertificateAuthority; believes?: CertificateAuthority | null } = {},
  ): TlsFileNames {
    const { cert, key } = authority.issue({
      subject: names[0] ?? 'nobody',
      names,
      roles: ['server', 'client'],
      ...VALID,
      ...request,
    });
    return {
      cert: this.file(cert),
      key: this.file(key),
      ca: believes === null ? null : this.file(believes.pem.cert),
    };
  }

  /** The files, read and watched. */
  watched(...args: Parameters<Certificates['files']>): TlsFiles {
    const { logger } = recordingLogger();
    return watchTlsFiles(this.files(...args), { clock: systemClock, logger });
  }

  /**
   * Puts files into a directory as Kubernetes mounts a secret: each file is a symlink through `..data`, itself a
   * symlink that a rename replaces. Returns the path of each file, the same every time.
   */
  mount(contents: Readonly<Record<string, string>>): Record<string, string> {
    const mount = join(this.directory, 'mount');
    const version = `..version-${++this.#versions}`;
    mkdirSync(join(mount, version), { recursive: true });
    for (const [name, content] of Object.entries(contents)) {
      writeFileSync(join(mount, version, name), content);
      if (this.#versions === 1) symlinkSync(join('..data', name), join(mount, name));
    }
    symlinkSync(version, join(mount, '..data_tmp'));
    renameSync(join(mount, '..data_tmp'), join(mount, '..data'));
    return Object.fromEntries(Object.keys(contents).map((name) => [name, join(mount, name)]));
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }
}
