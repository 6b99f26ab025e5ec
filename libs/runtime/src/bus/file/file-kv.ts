import { mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SettingError } from '../../settings/setting.ts';
import { BusError, type KeyValue, type KvEntry, type Subscription } from '../bus.ts';
import { checkBucket } from '../bus-subjects.ts';
import type { OnBusError } from '../in-process/in-process-kv.ts';
import { InProcessKeyValue } from '../in-process/in-process-kv.ts';
import { decodeKvFile, encodeKvFile } from './file-kv-format.ts';

export interface FileKeyValueOptions {
  /** Directory of the bucket's file. The first change makes it, so a process without changes leaves nothing behind. */
  readonly directory: string;
  readonly bucket: string;
  /** Name of the setting that the directory comes from, for SettingError. */
  readonly setting: string;
}

/** Identity of a file, which shows whether another process has replaced it. */
interface FileIdentity {
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
}

/**
 * A bucket of one process that outlives the process, in one file, `<directory>/<bucket>.kv`. Each change writes the
 * file anew: a temporary file, fsync, rename, fsync of the directory. So the file is complete at every moment, and
 * holds every acknowledged change, whenever the process or the host dies. Meant for changes made by people, not by
 * machines: a change costs as much as the bucket is large. Changes are made one after the other, and readers and
 * watchers see them once they are on disk.
 */
export class FileKeyValue implements KeyValue {
  readonly #options: FileKeyValueOptions;
  readonly #path: string;
  /** The entries as they are on disk; answers reads and watches. */
  readonly #memory: InProcessKeyValue;
  #identity: FileIdentity | null;
  #changes: Promise<unknown> = Promise.resolve();

  private constructor(options: FileKeyValueOptions, memory: InProcessKeyValue, identity: FileIdentity | null) {
    this.#options = options;
    this.#path = pathOf(options);
    this.#memory = memory;
    this.#identity = identity;
  }

  /**
   * Reads the bucket's file.
   * @throws SettingError: the file cannot be read, or is not as such a bucket writes it. It is left alone then.
   */
  static async open(options: FileKeyValueOptions, { onError }: { onError: OnBusError }): Promise<FileKeyValue> {
    checkBucket(options.bucket);
    const memory = new InProcessKeyValue({ onError });
    const path = pathOf(options);
    let identity: FileIdentity | null = null;
    try {
      identity = await identityOf(path);
      if (identity !== null) {
        const { revision, entries } = decodeKvFile(await readFile(path), options.bucket);
        memory.restore(entries, revision);
      }
    } catch (error) {
      const why = error instanceof BusError ? error.message : `cannot be read: ${(error as Error).message}`;
      throw new SettingError(
        options.setting,
        `${path} ${why}; restore it from a copy, or move it away to start with nothing`,
        { cause: error },
      );
    }
    return new FileKeyValue(options, memory, identity);
  }

  get(key: string): Promise<KvEntry | null> {
    return this.#memory.get(key);
  }

  put(key: string, value: Uint8Array): Promise<number> {
    return this.#change((draft) => draft.put(key, value));
  }

  create(key: string, value: Uint8Array): Promise<number> {
    return this.#change((draft) => draft.create(key, value));
  }

  update(key: string, value: Uint8Array, revision: number): Promise<number> {
    return this.#change((draft) => draft.update(key, value, revision));
  }

  delete(key: string, revision?: number): Promise<void> {
    return this.#change((draft) => draft.delete(key, revision));
  }

  keys(): Promise<string[]> {
    return this.#memory.keys();
  }

  watch(fn: (entry: KvEntry) => void, key?: string): Promise<Subscription> {
    return this.#memory.watch(fn, key);
  }

  /** Every call answers `closed` from now on; a change that is being written is still completed. */
  close(): void {
    this.#memory.close();
  }

  /** Makes a change by the rules of the bucket in memory: it is tried on a draft, written, then made visible. */
  #change<T>(make: (bucket: KeyValue) => Promise<T>): Promise<T> {
    const done = this.#changes.then(async () => {
      const draft = this.#memory.draft();
      const before = draft.revision;
      const result = await make(draft);
      // Nothing has changed, as when a missing key is deleted.
      if (draft.revision === before) return result;
      await this.#write(draft);
      // Cannot fail: the same change on the same state.
      return make(this.#memory);
    });
    this.#changes = done.catch(() => {});
    return done;
  }

  async #write(draft: InProcessKeyValue): Promise<void> {
    const { directory, bucket, setting } = this.#options;
    const temporary = `${this.#path}.tmp`;
    try {
      await mkdir(directory, { recursive: true });
      if (!sameFile(await identityOf(this.#path), this.#identity)) {
        throw new Error(`${this.#path} was changed by another process: ${setting} is for one process alone`);
      }
      const identity = await writeSynced(temporary, encodeKvFile(bucket, draft.revision, draft.entries()));
      await rename(temporary, this.#path);
      this.#identity = identity;
      await syncDirectory(dirname(this.#path));
    } catch (error) {
      throw new BusError('unavailable', `not kept on disk (${setting}): ${(error as Error).message}`, { cause: error });
    }
  }
}

function pathOf({ directory, bucket }: FileKeyValueOptions): string {
  return join(directory, `${bucket}.kv`);
}

/** Writes a file and waits until it is on disk; its identity stays the same when it is renamed. */
async function writeSynced(path: string, content: string): Promise<FileIdentity> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
    return await file.stat();
  } finally {
    await file.close();
  }
}

/** A rename is on disk only when its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** The identity of the file; null: there is no such file. */
async function identityOf(path: string): Promise<FileIdentity | null> {
  try {
    const { ino, size, mtimeMs } = await stat(path);
    return { ino, size, mtimeMs };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function sameFile(a: FileIdentity | null, b: FileIdentity | null): boolean {
  return a?.ino === b?.ino && a?.size === b?.size && a?.mtimeMs === b?.mtimeMs;
}
