import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { BusError } from '../bus.ts';
import { decodeKvFile, encodeKvFile } from './file-kv-format.ts';

const ENTRIES = [
  { key: 'a', value: new Uint8Array([0, 255]), revision: 3 },
  { key: 'gone', value: null, revision: 4 },
  { key: 'b', value: new Uint8Array(0), revision: 7 },
];
const TEXT = encodeKvFile('bucket', 9, ENTRIES);

/** The words of the error for this text. */
function refused(text: string, bucket = 'bucket'): string {
  try {
    decodeKvFile(Buffer.from(text), bucket);
    return 'it was read';
  } catch (error) {
    expect(error).toBeInstanceOf(BusError);
    expect(error).toMatchObject({ code: 'damaged' });
    return (error as Error).message;
  }
}

it('a bucket as a file is read as it was, without the keys that were deleted', () => {
  expect(decodeKvFile(Buffer.from(TEXT), 'bucket')).toEqual({ revision: 9, entries: [ENTRIES[0], ENTRIES[2]] });
  expect(TEXT.split('\n').map((line) => line.slice(0, 1))).toEqual(['{', '{', '{', '']);
  expect(JSON.parse(TEXT.split('\n')[0] ?? '')).toMatchObject({
    spanmesh: 'key-value',
    version: 1,
    bucket: 'bucket',
    revision: 9,
    entries: 2,
    sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
});

it('a bucket as a file may be empty, and of revision 0', () => {
  expect(decodeKvFile(Buffer.from(encodeKvFile('none', 0, [])), 'none')).toEqual({ revision: 0, entries: [] });
});

it('another file is refused, and says why', () => {
  const [head = ''] = TEXT.split('\n');
  const body = TEXT.slice(head.length + 1);
  const changed = (more: object) => `${JSON.stringify({ ...JSON.parse(head), ...more })}\n${body}`;
  for (const text of ['', 'x', head.slice(1), changed({ spanmesh: 'x' }), changed({ revision: -1 })]) {
    expect(refused(text)).toBe('is not a file of spanmesh');
  }
  expect(refused(changed({ version: 2 }))).toBe('was written by another version of spanmesh (format 2)');
  expect(refused(TEXT, 'other')).toBe('holds the bucket bucket, not other');
  expect(refused(TEXT.slice(0, -1))).toBe('is damaged: its checksum is wrong');
  expect(refused(changed({ entries: 3 }))).toBe('is damaged: entries are missing');
});

it('an entry that cannot be read is refused even if the checksum is right', () => {
  const good = { key: 'a', revision: 1, value: 'AA==' };
  const file = (line: string) => {
    const sha256 = createHash('sha256').update(line).digest('hex');
    const head = { spanmesh: 'key-value', version: 1, bucket: 'bucket', revision: 9, entries: 1, sha256 };
    return `${JSON.stringify(head)}\n${line}`;
  };
  expect(decodeKvFile(Buffer.from(file(JSON.stringify(good))), 'bucket').entries).toEqual([
    { key: 'a', revision: 1, value: new Uint8Array([0]) },
  ]);
  for (const line of [
    '{',
    ...[{ revision: 0 }, { revision: 1.5 }, { key: 7 }, { value: '?' }].map((more) =>
      JSON.stringify({ ...good, ...more }),
    ),
  ]) {
    expect(refused(file(line))).toBe('is damaged: an entry cannot be read');
  }
});
