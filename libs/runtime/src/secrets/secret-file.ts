import { readFileSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { TlsError } from './tls-error.ts';

/** Largest file of certificates, a key or tokens, bytes: a system's whole list of CAs has a quarter of it. */
export const MAX_SECRET_FILE_BYTES = 1024 * 1024;

/** Reads a small file. @throws TlsError unreadable */
export function readSecretFile(file: string): Buffer {
  try {
    checkSize(statSync(file));
    return readFileSync(file);
  } catch (error) {
    throw unreadable(file, error);
  }
}

/** Reads a small file without blocking the event loop: a mounted volume may be slow. @throws TlsError unreadable */
export async function loadSecretFile(file: string): Promise<Buffer> {
  try {
    const handle = await open(file);
    try {
      checkSize(await handle.stat());
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw unreadable(file, error);
  }
}

function checkSize(found: { size: number; isFile(): boolean }): void {
  if (!found.isFile()) throw new Error('is not a file');
  if (found.size > MAX_SECRET_FILE_BYTES) throw new Error(`is larger than ${MAX_SECRET_FILE_BYTES} bytes`);
}

function unreadable(file: string, cause: unknown): TlsError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const why = code === 'ENOENT' ? 'there is no such file' : (code ?? message);
  return new TlsError('unreadable', file, why, { cause });
}
