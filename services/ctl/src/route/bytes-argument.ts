import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { Failure } from '../failure.ts';
import { fileTrouble } from '../output/file-trouble.ts';
import { printable } from '../output/printable.ts';

/** Reads an argument of bytes. `@file`: the file's bytes; anything else is hexadecimal digits. @throws Failure usage */
export async function payloadArgument(text: string): Promise<Buffer> {
  if (text.startsWith('@')) return fileBytes(text.slice(1));
  const digits = text.replace(/^0x/i, '').replace(/[\s_:]/g, '');
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Failure('usage', '--payload: expected pairs of hexadecimal digits');
  return Buffer.from(digits, 'hex');
}

/**
 * Reads an argument of aux data. `@file`: the file's bytes; `-`: those of standard input; anything else is text.
 * Standard input is read to a little more than `limit` bytes, which shows that there are too many.
 * @throws Failure usage
 */
export async function auxArgument(text: string, input: Readable, limit: number): Promise<Buffer> {
  if (text.startsWith('@')) return fileBytes(text.slice(1));
  if (text !== '-') return Buffer.from(text, 'utf8');
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of input) {
    const part = Buffer.from(chunk);
    chunks.push(part);
    bytes += part.length;
    if (bytes > limit) break;
  }
  return Buffer.concat(chunks);
}

async function fileBytes(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new Failure('usage', `cannot read ${printable(path)}: ${fileTrouble(error)}`, {
      cause: error,
    });
  }
}
