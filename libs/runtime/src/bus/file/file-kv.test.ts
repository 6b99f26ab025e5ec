import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SettingError } from '../../settings/setting.ts';
import { BusError } from '../bus.ts';
import { busContract } from '../bus-contract.ts';
import { InProcessBus } from '../in-process/in-process-bus.ts';
import { FileKeyValue } from './file-kv.ts';

const SETTING = 'SPANMESH_DATA_DIR';
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (data: Uint8Array): string => new TextDecoder().decode(data);

const made: string[] = [];

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'spanmesh-kv-'));
  made.push(path);
  return path;
}

afterEach(async () => {
  for (const path of made.splice(0)) await rm(path, { recursive: true, force: true });
});

busContract('InProcessBus with buckets on disk', async (thrown) => {
  const path = await directory();
  return new InProcessBus({
    onError: thrown,
    openBucket: (bucket) => FileKeyValue.open({ directory: path, bucket, setting: SETTING }, { onError: thrown }),
  });
});

describe('a bucket on disk', () => {
  let path: string;
  const open = (bucket = 'b') =>
    FileKeyValue.open({ directory: path, bucket, setting: SETTING }, { onError: () => {} });

  beforeEach(async () => {
    path = join(await directory(), 'deeper', 'still');
  });

  it('leaves no file when nothing was changed', async () => {
    const kv = await open();
    await kv.delete('nothing');
    expect(await kv.keys()).toEqual([]);
    await expect(readdir(path)).rejects.toThrow('ENOENT');
  });

  it('has its content after a restart, and gives no revision out twice', async () => {
    const first = await open();
    await first.put('a', encode('1'));
    const b = await first.put('b', new Uint8Array([0, 255, 10]));
    await first.put('gone', encode('x'));
    await first.delete('gone');
    first.close();
    const second = await open();
    expect((await second.keys()).toSorted()).toEqual(['a', 'b']);
    expect(await second.get('b')).toEqual({ key: 'b', value: new Uint8Array([0, 255, 10]), revision: b });
    expect(await second.put('c', encode('2'))).toBe(5);
    await second.update('b', encode('3'), b);
    await expect(second.update('gone', encode('x'), 3)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('is one file, complete, and readable by its owner only', async () => {
    const kv = await open();
    await kv.put('a', encode('1'));
    expect(await readdir(path)).toEqual(['b.kv']);
    expect((await stat(join(path, 'b.kv'))).mode & 0o777).toBe(0o600);
  });

  it('is not harmed by a temporary file that was left over', async () => {
    const kv = await open();
    await kv.put('a', encode('1'));
    await writeFile(join(path, 'b.kv.tmp'), 'half a');
    const again = await open();
    await again.put('b', encode('2'));
    expect((await (await open()).keys()).toSorted()).toEqual(['a', 'b']);
  });

  it.each([
    ['foreign text', async () => 'hello\nworld\n', 'is not a file of spanmesh'],
    ['nothing', async () => '', 'is not a file of spanmesh'],
    ['JSON of somebody else', async () => '{"a":1}\n', 'is not a file of spanmesh'],
    ['a file cut short', async (file: string) => (await readFile(file, 'utf8')).slice(0, -9), 'is damaged'],
    ['a changed byte', async (file: string) => (await readFile(file, 'utf8')).replace('"a"', '"z"'), 'is damaged'],
    [
      'a later format',
      async (file: string) => (await readFile(file, 'utf8')).replace('"version":1', '"version":2'),
      'was written by another version',
    ],
  ])('is refused and left alone: %s', async (_, content, says) => {
    const kv = await open();
    await kv.put('a', encode('1'));
    const file = join(path, 'b.kv');
    const bad = await content(file);
    await writeFile(file, bad);
    const error = await open().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SettingError);
    expect((error as SettingError).message).toContain(`${SETTING}: ${file} ${says}`);
    expect(await readFile(file, 'utf8')).toBe(bad);
  });

  it('refuses the file of another bucket', async () => {
    await (await open()).put('a', encode('1'));
    await writeFile(join(path, 'c.kv'), await readFile(join(path, 'b.kv')));
    await expect(open('c')).rejects.toThrow('holds the bucket b, not c');
  });

  it('does not overwrite a file that another process has written', async () => {
    const [one, other] = [await open(), await open()];
    await one.put('a', encode('1'));
    await expect(other.put('b', encode('2'))).rejects.toThrow(/for one process alone/);
    expect(await (await open()).keys()).toEqual(['a']);
  });

  it('reports that a change was not kept when it cannot be written, and goes on when it can', async () => {
    await writeFile(join(path, '..', '..', 'deeper'), 'a file where the directory should be');
    const kv = await open().catch((error: unknown) => error);
    // Not even the check of the file is possible.
    expect(kv).toBeInstanceOf(SettingError);
    await rm(join(path, '..', '..', 'deeper'));
    const later = await open();
    await writeFile(join(path, '..', '..', 'deeper'), 'again');
    await expect(later.put('a', encode('1'))).rejects.toBeInstanceOf(BusError);
    expect(await later.get('a')).toBeNull();
    await rm(join(path, '..', '..', 'deeper'));
    await later.put('a', encode('2'));
    expect(decode((await (await open()).get('a'))!.value!)).toBe('2');
  });

  it('shows nothing to readers and watchers that is not yet on disk', async () => {
    const kv = await open();
    const seen: number[] = [];
    await kv.watch(({ revision }) => seen.push(revision));
    const put = kv.put('a', encode('1'));
    expect(await kv.get('a')).toBeNull();
    expect(seen).toEqual([]);
    await put;
    expect(await kv.get('a')).not.toBeNull();
  });
});

describe('a process that is killed while it writes', () => {
  const CHILD = fileURLToPath(new URL('./file-kv.child.fixture.ts', import.meta.url));
  const KILLS = 25;

  it(`keeps every acknowledged change, ${KILLS} times`, async () => {
    const path = await directory();
    /** The value acknowledged last for each key, and its number. */
    const acknowledged = new Map<string, { n: number; value: string }>();
    let next = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      // Killed after a number of acknowledgements: they come as fast as the disk allows.
      const lines = await killedAfter(path, next, 3 + ((kill * 7) % 20));
      for (const line of lines) {
        const [n, key, value] = line.split(' ') as [string, string, string];
        if ((acknowledged.get(key)?.n ?? -1) < Number(n)) acknowledged.set(key, { n: Number(n), value });
        next = Math.max(next, Number(n) + 1);
      }
      const kv = await FileKeyValue.open(
        { directory: path, bucket: 'torture', setting: SETTING },
        { onError: () => {} },
      );
      for (const [key, { n, value }] of acknowledged) {
        const entry = await kv.get(key);
        const found = entry === null ? '-' : numberOf(decode(entry.value!));
        // Changes that were under way when it was killed may have been made too: those with the next numbers.
        const underWay = Array.from({ length: 7 }, (_, i) => next + i).filter((number) => `k${number % 7}` === key);
        const allowed = [value, ...underWay.map((number) => (number % 5 === 0 ? '-' : String(number)))];
        expect(allowed, `${key} after ${n}`).toContain(found);
        acknowledged.set(key, { n, value: found });
      }
      next += 7;
    }
    expect(next).toBeGreaterThan(KILLS * 3);
  });

  function killedAfter(path: string, first: number, count: number): Promise<string[]> {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [CHILD, path, String(first)], { stdio: ['ignore', 'pipe', 'inherit'] });
      let text = '';
      child.stdout.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (text.split('\n').length > count) child.kill('SIGKILL');
      });
      child.once('error', reject);
      // Only whole lines count: these were written after the acknowledgement.
      child.once('close', () => resolve(text.split('\n').slice(0, -1)));
    });
  }

  /** The number that a value repeats 200 times; a torn value has no such number. */
  function numberOf(value: string): string {
    const number = value.slice(0, value.length / 200);
    expect(value).toBe(number.repeat(200));
    return number;
  }
});
