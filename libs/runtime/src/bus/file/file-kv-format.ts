import { createHash } from 'node:crypto';
import * as z from 'zod';
import { BusError, type KvEntry } from '../bus.ts';

export interface KvFileContent {
  /** Highest revision ever given out: no revision is given out twice. */
  readonly revision: number;
  readonly entries: KvEntry[];
}

/** The first line: what the file is, and the checksum of the rest. */
const headSchema = z.object({
  spanmesh: z.literal('key-value'),
  version: z.number(),
  bucket: z.string(),
  revision: z.number().int().min(0),
  entries: z.number().int().min(0),
  sha256: z.string(),
});
const entrySchema = z.object({ key: z.string(), revision: z.number().int().min(1), value: z.base64() });
const VERSION = 1;

/**
 * A bucket as a file: a head line, then one line of JSON for each entry, values in base64. Deleted keys are left out.
 */
export function encodeKvFile(bucket: string, revision: number, entries: Iterable<KvEntry>): string {
  let body = '';
  let count = 0;
  for (const { key, value, revision: changed } of entries) {
    if (value === null) continue;
    body += `${JSON.stringify({ key, revision: changed, value: Buffer.from(value).toString('base64') })}\n`;
    count++;
  }
  const head = { spanmesh: 'key-value', version: VERSION, bucket, revision, entries: count, sha256: sum(body) };
  return `${JSON.stringify(head)}\n${body}`;
}

/** @throws BusError damaged: the file is something else, of another version or bucket, or incomplete. */
export function decodeKvFile(bytes: Buffer, bucket: string): KvFileContent {
  const end = bytes.indexOf(0x0a);
  const head = headSchema.safeParse(parsed(bytes.toString('utf8', 0, Math.max(end, 0))));
  if (!head.success) throw damaged('is not a file of spanmesh');
  const { version, revision, sha256 } = head.data;
  if (version !== VERSION) throw damaged(`was written by another version of spanmesh (format ${version})`);
  if (head.data.bucket !== bucket) throw damaged(`holds the bucket ${head.data.bucket}, not ${bucket}`);
  const body = bytes.toString('utf8', end + 1);
  if (sum(body) !== sha256) throw damaged('is damaged: its checksum is wrong');
  const entries = body
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const entry = entrySchema.safeParse(parsed(line));
      if (!entry.success) throw damaged('is damaged: an entry cannot be read');
      return { ...entry.data, value: new Uint8Array(Buffer.from(entry.data.value, 'base64')) };
    });
  if (entries.length !== head.data.entries) throw damaged('is damaged: entries are missing');
  return { revision, entries };
}

function damaged(message: string): BusError {
  return new BusError('damaged', message);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function sum(body: string): string {
  return createHash('sha256').update(body).digest('hex');
}
