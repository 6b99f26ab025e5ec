import { type FSWatcher, watch } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import type { Logger } from '@spanmesh/runtime/log/logger';
import { type KeyFiles, keyFilesDigest, keyFilesSignature, PEERS_DIRECTORY, readKeyFiles } from './key-files.ts';
import { KEYS_ABSENCE_MS, KEYS_POLL_MS, KEYS_SETTLE_MS } from './limits.ts';
import type { PeerAccess } from './peer-rules.ts';
import { readSeenKeys, SEEN_KEYS_FILE, seenKeysText, writeSeenKeys } from './seen-keys-file.ts';
import { type Decided, WithdrawnKeys } from './withdrawn-keys.ts';

/** How often a directory that changes while it is read is read again at once. After that the next look reads it. */
const READ_TRIES = 3;

/** The directory was read again, or a part of it cannot be used. */
export interface KeysChange {
  /** A file of the directory, or the directory itself. */
  readonly file: string;
  /** null: everything is in use as it is now. */
  readonly problem: string | null;
  /** Number of peers whose keys are in use. */
  readonly inUse: number;
}

export interface KeysDirectoryDependencies {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called for every change and problem of the directory that is logged. */
  readonly changed?: (change: KeysChange) => void;
}

/**
 * The keys directory of this host, kept up to date: it is watched, and also looked at every few seconds. Its rules
 * apply to new connections; established ones stay. If the directory cannot be read any more, the last rules stay in
 * force. A key that was taken away is remembered, if the directory can be written also in a file beside the keys.
 */
export class KeysDirectory {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onChange: (change: KeysChange) => void;
  /** The content of the directory as last read. */
  #files: KeyFiles = { peers: [], problems: [] };
  #withdrawn = new WithdrawnKeys({ absenceMs: KEYS_ABSENCE_MS });
  /** The rules in force. */
  #known: Decided | null = null;
  #signature = '';
  /** Digest of the contents in force: the signature also changes when the same contents are written anew. */
  #digest = '';
  /** Content of the file that remembers keys for the next run; null: that file may not exist. */
  #seenText: string | null = null;
  #saysUnwritten = true;
  /** The last error, so that it is logged once. */
  #error: string | null = null;
  #watchers: FSWatcher[] = [];
  #pollTimer: Timer | null = null;
  #settleTimer: Timer | null = null;
  /** Runs while a .pub is missing, until that counts as taken away. */
  #absenceTimer: Timer | null = null;
  #isAbsenceOver = false;
  #looking: Promise<void> = Promise.resolve();
  #stopped = false;
  /** How often changed files were put into force. */
  reloads = 0;

  constructor({ directory }: { readonly directory: string }, deps: KeysDirectoryDependencies) {
    this.#directory = directory;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#onChange = deps.changed ?? (() => {});
  }

  /** The access of the peer at this numeric address. Call after `start`. */
  of(address: string): PeerAccess {
    return this.#known!.rules.of(address);
  }

  /** Number of files that something is wrong with. */
  get problems(): number {
    return this.#known?.problems.length ?? 0;
  }

  /** @throws KeysError the directory cannot be read. */
  async start(): Promise<void> {
    await this.#readSeen();
    await this.#load();
    await this.#writeSeen();
    this.#watch();
    this.#poll();
  }

  stop(): void {
    this.#stopped = true;
    this.#pollTimer?.cancel();
    this.#settleTimer?.cancel();
    this.#absenceTimer?.cancel();
    this.#unwatch();
  }

  /** Looks now whether anything has changed, and if so puts it into force. Never rejects. */
  look(): Promise<void> {
    // Looks run one after the other: an older look must not overwrite the result of a newer one.
    this.#looking = this.#looking.then(() => this.#look());
    return this.#looking;
  }

  async #look(): Promise<void> {
    if (this.#stopped) return;
    try {
      if (await this.#hasChanged()) {
        await this.#load();
        this.reloads++;
        this.#tell(this.#directory, null);
      } else if (this.#isAbsenceOver) {
        this.#decide();
      }
      await this.#writeSeen();
      this.#error = null;
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      if (problem === this.#error) return;
      this.#error = problem;
      this.#logger.error({ problem }, 'the keys directory cannot be read; what it said before stays in force');
      this.#tell(this.#directory, problem);
    }
  }

  /** False when the same contents were written anew. */
  async #hasChanged(): Promise<boolean> {
    const signature = await keyFilesSignature(this.#directory);
    if (signature === this.#signature) return false;
    if ((await keyFilesDigest(this.#directory)) !== this.#digest) return true;
    this.#signature = signature;
    return false;
  }

  async #load(): Promise<void> {
    for (let tries = READ_TRIES; ; tries--) {
      const before = await keyFilesSignature(this.#directory);
      const files = await readKeyFiles(this.#directory);
      const digest = await keyFilesDigest(this.#directory);
      // A mixture of old and new files must not be put into force.
      if (tries > 1 && (await keyFilesSignature(this.#directory)) !== before) continue;
      if (this.#stopped) return;
      this.#files = files;
      this.#signature = before;
      this.#digest = digest;
      break;
    }
    this.#decide();
  }

  /** Puts rules into force: those of the files, and of the keys that are remembered. */
  #decide(): void {
    this.#absenceTimer?.cancel();
    this.#isAbsenceOver = false;
    const decided = this.#withdrawn.decide(this.#files, this.#clock.now());
    this.#known = decided;
    const { problems, peers, againInMs } = decided;
    if (againInMs !== null) {
      this.#absenceTimer = this.#clock.after(againInMs, () => {
        this.#isAbsenceOver = true;
        void this.look();
      });
    }
    this.#logger.info({ peers, problems: problems.length }, 'keys directory read');
    for (const { file, problem } of problems) {
      this.#logger.warn(
        { file, problem },
        'a file of the keys directory cannot be used as it is; see spanmesh keys check',
      );
      this.#tell(file, problem);
    }
  }

  #tell(file: string, problem: string | null): void {
    this.#onChange({ file, problem, inUse: this.#known?.peers ?? 0 });
  }

  async #readSeen(): Promise<void> {
    try {
      const seen = await readSeenKeys(this.#directory);
      this.#withdrawn = new WithdrawnKeys({ absenceMs: KEYS_ABSENCE_MS }, seen ?? []);
      this.#seenText = seen === null ? null : seenKeysText(seen);
    } catch (err) {
      const file = SEEN_KEYS_FILE;
      this.#logger.error({ file, err }, 'which keys there have been cannot be read: none are known');
    }
  }

  async #writeSeen(): Promise<void> {
    const text = seenKeysText(this.#withdrawn.seen);
    if (text === this.#seenText || (this.#seenText === null && this.#withdrawn.seen.length === 0)) return;
    try {
      await writeSeenKeys(this.#directory, text);
      this.#seenText = text;
    } catch (error) {
      if (!this.#saysUnwritten) return;
      this.#saysUnwritten = false;
      const why = (error as NodeJS.ErrnoException).code ?? 'unknown error';
      const advice = 'keep a peer whose key is taken away out by a .refused file';
      this.#logger.info(
        { why, advice },
        'the keys directory cannot be written: a restart forgets keys that were taken away',
      );
    }
  }

  #watch(): void {
    this.#unwatch();
    // A symbolic link to another directory changes the directory that contains it. Then the watch of remote/ is still
    // on the old one, so both watches are made anew.
    for (const path of [this.#directory, join(this.#directory, PEERS_DIRECTORY)]) {
      try {
        const watcher = watch(path, { persistent: false }, () => this.#changed());
        watcher.on('error', () => watcher.close());
        this.#watchers.push(watcher);
      } catch {
        // The directory does not exist, or the system has no watches left: changes are still seen, by polling, a little
        // later.
      }
    }
  }

  #unwatch(): void {
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers = [];
  }

  #changed(): void {
    if (this.#stopped || this.#settleTimer !== null) return;
    this.#settleTimer = this.#clock.after(KEYS_SETTLE_MS, () => {
      this.#settleTimer = null;
      this.#watch();
      void this.look();
    });
  }

  #poll(): void {
    this.#pollTimer = this.#clock.after(KEYS_POLL_MS, () => {
      void this.look().then(() => {
        if (!this.#stopped) this.#poll();
      });
    });
  }
}
