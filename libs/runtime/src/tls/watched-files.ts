import { EventKind } from '@spanmesh/proto/v1/events';

import type { Clock, Timer } from '../clock.ts';
import { type EventTeller, NO_EVENTS } from '../events/event-teller.ts';
import type { Logger } from '../log/logger.ts';
import { loadSecretFile, readSecretFile } from '../secrets/secret-file.ts';

/**
 * How often files are read, ms. Their content is compared, without notifications of the file system: this works alike
 * for symlinks replaced anywhere on the path (as Kubernetes does), network file systems and bind mounts.
 */
export const LOOK_INTERVAL_MS = 5000;

/** The contents of the files, in the order of `files`. */
export type FileContents = readonly Buffer[];

/**
 * A value made from files, and made again when they change. Files that cannot be used change nothing: the last value is
 * kept. The fault is logged and counted once, if it is still there at a second look, since the first may have come
 * half-way through a change.
 */
export class WatchedFiles<T> {
  /** How often a changed value was taken. */
  reloads = 0;
  /** How often changed files could not be used. */
  failures = 0;
  readonly #files: readonly string[];
  readonly #parse: (contents: FileContents) => T;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #events: EventTeller;
  readonly #listeners = new Set<(value: T) => void>();
  #value: T;
  #contents: FileContents;
  /** The fault found at the last look, and whether it was reported. */
  #failing: { readonly message: string; readonly reported: boolean } | null = null;
  #timer: Timer | null = null;
  #looking: Promise<void> | null = null;
  #running = false;

  /** @throws errors of `parse`; TlsError for a file that cannot be read. */
  constructor(
    { files, parse }: { readonly files: readonly string[]; readonly parse: (contents: FileContents) => T },
    {
      clock,
      logger,
      events = NO_EVENTS,
    }: { readonly clock: Clock; readonly logger: Logger; readonly events?: EventTeller },
  ) {
    this.#files = files;
    this.#parse = parse;
    this.#clock = clock;
    this.#logger = logger;
    this.#events = events;
    this.#contents = files.map((file) => readSecretFile(file));
    this.#value = parse(this.#contents);
  }

  get value(): T {
    return this.#value;
  }

  /** Calls `fn` with each new value, until the returned subscription is ended. */
  onChange(fn: (value: T) => void): { unsubscribe(): void } {
    this.#listeners.add(fn);
    return { unsubscribe: () => this.#listeners.delete(fn) };
  }

  /** Looks at the files every LOOK_INTERVAL_MS from now on. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#timer?.cancel();
    await this.#looking;
  }

  /** Looks at the files now. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  #arm(): void {
    this.#timer = this.#clock.after(LOOK_INTERVAL_MS, () => {
      void this.look().then(() => {
        if (this.#running) this.#arm();
      });
    });
  }

  async #look(): Promise<void> {
    let value: T;
    let contents: FileContents;
    try {
      contents = await Promise.all(this.#files.map((file) => loadSecretFile(file)));
      if (contents.every((content, i) => this.#contents[i]?.equals(content) === true)) {
        this.#failing = null;
        return;
      }
      value = this.#parse(contents);
    } catch (error) {
      this.#failed(error as Error);
      return;
    }
    this.#failing = null;
    this.#contents = contents;
    this.#value = value;
    this.reloads++;
    this.#logger.info({ files: this.#files }, 'changed files are in use from now on');
    this.#tell(EventKind.EVENT_KIND_CERTIFICATES_RELOADED, '');
    for (const fn of this.#listeners) fn(value);
  }

  #failed(err: Error): void {
    const { message } = err;
    const again = this.#failing?.message === message;
    if (again && this.#failing?.reported === false) {
      this.failures++;
      this.#logger.error({ why: message }, 'changed files cannot be used; what they held before stays in use');
      this.#tell(EventKind.EVENT_KIND_CERTIFICATES_BAD, message);
    }
    this.#failing = { message, reported: again };
  }

  #tell(kind: EventKind, error: string): void {
    const [subject = ''] = this.#files;
    const files = { inUse: 0, error, files: [...this.#files] };
    this.#events.tell({ kind, subject, principal: subject, files }, { isLogged: true });
  }
}
