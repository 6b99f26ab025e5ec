import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadSecretFile, readSecretFile } from './secret-file.ts';

// Written once more: a change of them must be noticed.
const MAX_SECRET_FILE_BYTES = 1024 * 1024;

describe.each([
  ['readSecretFile', async (file: string) => readSecretFile(file)],
  ['loadSecretFile', loadSecretFile],
])('%s', (_, read) => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'spanmesh-secrets-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  function file(bytes: number): string {
    const path = join(directory, `${bytes}`);
    writeFileSync(path, Buffer.alloc(bytes, 'x'));
    return path;
  }

  // Limits: secrets/secret-file.ts MAX_SECRET_FILE_BYTES
  it('reads a file of the largest size, and none that is a byte larger', async () => {
    expect(await read(file(MAX_SECRET_FILE_BYTES))).toHaveLength(MAX_SECRET_FILE_BYTES);
    const larger = file(MAX_SECRET_FILE_BYTES + 1);
    await expect(read(larger)).rejects.toMatchObject({ code: 'unreadable', file: larger });
  });

  it('says why a file cannot be read', async () => {
    await expect(read(join(directory, 'nowhere'))).rejects.toThrow(/nowhere: there is no such file$/);
    await expect(read(directory)).rejects.toThrow(/: is not a file$/);
    await expect(read(join(file(1), 'below'))).rejects.toThrow(/: ENOTDIR$/);
  });
});
