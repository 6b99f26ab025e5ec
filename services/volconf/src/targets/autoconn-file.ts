import { readFile, stat } from 'node:fs/promises';
import type { Subscription } from '@spanmesh/runtime/bus/bus';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import type { Logger } from '@spanmesh/runtime/log/logger';
import { AUTOCONN_LOOK_MS, MAX_AUTOCONN_BYTES, MAX_AUTOCONN_HOSTS } from '../limits.ts';
import { parseSpanPath, SPAN_PREFIX } from '../slots/span-path.ts';
import type { WantedTarget, WantedTargets } from './wanted-targets.ts';

/** Prefix of the names of these targets; operators' names contain no colon. */
const NAME_PREFIX = 'autoconn:';

/** Hosts of an autoconn file, each once, and the numbers (from 1) of the lines that name none. */
export interface Autoconn {
  readonly hosts: readonly string[];
  readonly problems: readonly { readonly line: number; readonly problem: string }[];
}

/** Reads a file in the original's format: the first word of a line is a host, `#` begins a comment. */
export function parseAutoconn(text: string): Autoconn {
  const hosts = new Set<string>();
  const problems: { line: number; problem: string }[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    const [host = ''] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (host === '') continue;
    if (parseSpanPath(`${SPAN_PREFIX}${host}`, 1) === null) problems.push({ line: i + 1, problem: 'is no host' });
    else if (hosts.size < MAX_AUTOCONN_HOSTS || hosts.has(host)) hosts.add(host);
    else problems.push({ line: i + 1, problem: `is beyond the ${MAX_AUTOCONN_HOSTS} hosts that a file may have` });
  }
  return { hosts: [...hosts], problems };
}

/**
 * The hosts in `/etc/hammer2/autoconn` as targets. The file is read every AUTOCONN_LOOK_MS and compared by its content.
 * A missing file names no hosts; only if it is missing twice in a row do the targets go, as it may just be being
 * replaced. A file that cannot be read changes nothing.
 */
export class AutoconnFile implements WantedTargets {
  /** The file has been read once, or does not exist. */
  loaded = false;
  readonly #file: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #listeners = new Set<(name: string) => void>();
  #targets = new Map<string, WantedTarget>();
  #text: string | null = null;
  #isMissing = false;
  #error: string | null = null;
  #timer: Timer | null = null;
  #looking: Promise<void> = Promise.resolve();
  #running = false;

  constructor(
    { file }: { readonly file: string },
    { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  ) {
    this.#file = file;
    this.#clock = clock;
    this.#logger = logger;
  }

  all(): Iterable<WantedTarget> {
    return this.#targets.values();
  }

  get(name: string): WantedTarget | undefined {
    return this.#targets.get(name);
  }

  /** Calls `fn` with the name of each target that appears or goes, and with '' when `loaded` has become true. */
  onChange(fn: (name: string) => void): Subscription {
    this.#listeners.add(fn);
    return { unsubscribe: () => this.#listeners.delete(fn) };
  }

  /** Begins to read the file regularly. Resolves after the first time. */
  async start(): Promise<void> {
    this.#running = true;
    await this.look();
    this.#arm();
  }

  stop(): void {
    this.#running = false;
    this.#timer?.cancel();
  }

  /** Reads the file now. Never rejects. */
  look(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#look());
    return this.#looking;
  }

  #arm(): void {
    if (!this.#running) return;
    this.#timer = this.#clock.after(AUTOCONN_LOOK_MS, () => {
      void this.look().then(() => this.#arm());
    });
  }

  async #look(): Promise<void> {
    let text: string;
    try {
      const found = await stat(this.#file);
      if (!found.isFile()) throw new Error('it is not a file');
      if (found.size > MAX_AUTOCONN_BYTES) throw new Error(`it is larger than ${MAX_AUTOCONN_BYTES} bytes`);
      text = await readFile(this.#file, 'utf8');
      this.#isMissing = false;
    } catch (error) {
      if (!isMissing(error)) {
        this.#failed(error);
        return;
      }
      const wasMissing = this.#isMissing;
      this.#isMissing = true;
      if (this.loaded && !wasMissing) return;
      text = '';
    }
    if (!this.#running) return;
    this.#error = null;
    this.#take(text);
  }

  #take(text: string): void {
    if (text !== this.#text) {
      this.#text = text;
      const { hosts, problems } = parseAutoconn(text);
      this.#logger.info({ file: this.#file, hosts: hosts.length }, 'autoconn file read');
      for (const { line, problem } of problems) {
        this.#logger.warn({ file: this.#file, line, problem }, 'a line of the autoconn file is ignored');
      }
      this.#replace(hosts);
    }
    if (this.loaded) return;
    this.loaded = true;
    this.#tell('');
  }

  #replace(hosts: readonly string[]): void {
    const before = this.#targets;
    this.#targets = new Map(
      hosts.map((host) => {
        const name = `${NAME_PREFIX}${host}`;
        return [
          name,
          before.get(name) ?? { name, path: `${SPAN_PREFIX}${host}`, dialect: 'auto', origin: 'autoconn' },
        ] as const;
      }),
    );
    for (const name of before.keys()) if (!this.#targets.has(name)) this.#tell(name);
    for (const name of this.#targets.keys()) if (!before.has(name)) this.#tell(name);
  }

  #failed(error: unknown): void {
    const problem = error instanceof Error ? error.message : String(error);
    if (problem === this.#error) return;
    this.#error = problem;
    this.#logger.error({ file: this.#file, problem }, 'the autoconn file cannot be read; what it said before stays');
  }

  #tell(name: string): void {
    for (const fn of this.#listeners) fn(name);
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
