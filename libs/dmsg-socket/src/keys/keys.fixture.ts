import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A key pair, and the PEM texts of both keys. */
export interface TestKeys {
  readonly own: KeyObject;
  readonly shown: KeyObject;
  readonly prv: string;
  readonly pub: string;
}

/** A new key pair. */
export function testKeys(modulusLength = 2048, publicExponent = 65537): TestKeys {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent });
  return {
    own: privateKey,
    shown: publicKey,
    prv: privateKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
    pub: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

/** A keys directory that is deleted after the test. Constructor: file name → content. */
export class TestDirectory {
  readonly path = mkdtempSync(join(tmpdir(), 'spanmesh-keys-'));

  constructor(files: Readonly<Record<string, string>> = {}) {
    for (const [file, content] of Object.entries(files)) this.write(file, content);
  }

  write(file: string, content: string): void {
    const path = join(this.path, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content, { mode: 0o600 });
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
