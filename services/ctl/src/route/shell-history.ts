import {
  appendFileSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { looksSecret } from './looks-secret.ts';

/** Lines that are kept. The file has up to twice as many before it is cut down to these. */
export const MAX_LINES = 500;
/** Longest line that is kept, characters. */
export const MAX_LINE_CHARS = 1000;
/** Largest file that is read, bytes: twice MAX_LINES of the longest lines in UTF-8. */
const MAX_FILE_BYTES = 2 * MAX_LINES * (4 * MAX_LINE_CHARS + 1);
/** Characters that are invisible, which no typed line has. */
const CONTROL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
/** O_NONBLOCK: opening something that is not a file (a pipe, say) must not wait. */
const { O_APPEND, O_CREAT, O_NONBLOCK, O_RDWR } = constants;
const MODE = 0o600;

type Env = Readonly<Record<string, string | undefined>>;

/**
 * The file of the lines from earlier shells, by the XDG base directory specification. Null: none, because the user has
 * no home directory, or SPANMESH_SHELL_HISTORY is `off`.
 */
export function historyFile({
  SPANMESH_SHELL_HISTORY: setting,
  XDG_STATE_HOME: state,
  HOME: home,
}: Env): string | null {
  if (setting?.toLowerCase() === 'off') return null;
  if (state?.startsWith('/')) return join(state, 'spanmesh', 'shell_history');
  return home === undefined || home === '' ? null : join(home, '.local', 'state', 'spanmesh', 'shell_history');
}

/**
 * The lines typed in shells, kept in a file for later shells. Several shells may add to it at the same time. A file
 * that cannot be used is reported once, and then the shell works without one.
 */
export class ShellHistory {
  readonly #file: string | null;
  readonly #complain: (line: string) => void;
  #isBroken = false;
  /** Lines in the file. */
  #count = 0;
  /** The line added last. */
  #last = '';

  /** `file` null: nothing is kept. `complain` is called with the reason why nothing can be kept. */
  constructor(file: string | null, complain: (line: string) => void) {
    this.#file = file;
    this.#complain = complain;
  }

  /** The kept lines, the last one first, as readline expects them. */
  read(): string[] {
    return this.#trying((file) => {
      const lines = linesOf(file);
      this.#count = lines.length;
      this.#last = lines.at(-1) ?? '';
      if (lines.length > MAX_LINES) this.#count = rewrite(file, lines);
      return lines.slice(-MAX_LINES).reverse();
    }, []);
  }

  /** Keeps a line, unless it may be a secret, begins with a space, is too long, or repeats the line before. */
  add(line: string): void {
    if (!isKept(line) || line === this.#last) return;
    this.#last = line;
    this.#trying((file) => {
      append(file, line);
      this.#count++;
      // Other shells may have added lines, too, so the file is read again.
      if (this.#count >= 2 * MAX_LINES) this.#count = rewrite(file, linesOf(file));
    }, undefined);
  }

  #trying<T>(use: (file: string) => T, otherwise: T): T {
    if (this.#file === null || this.#isBroken) return otherwise;
    try {
      return use(this.#file);
    } catch (error) {
      this.#isBroken = true;
      this.#complain(
        `lines are not kept for the next shell: ${error instanceof Error ? error.message : String(error)}`,
      );
      return otherwise;
    }
  }
}

function isKept(line: string): boolean {
  return /^[^\s]/.test(line) && line.length <= MAX_LINE_CHARS && !CONTROL.test(line) && !looksSecret(line);
}

/** The lines of the file, the newest last. Lines that we would not have kept are skipped. */
function linesOf(file: string): string[] {
  let descriptor: number;
  try {
    descriptor = openSync(file, constants.O_RDONLY | O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  try {
    checkFile(file, descriptor);
    return readFileSync(descriptor, 'utf8').split('\n').filter(isKept);
  } finally {
    closeSync(descriptor);
  }
}

function append(file: string, line: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const descriptor = openSync(file, O_RDWR | O_APPEND | O_CREAT | O_NONBLOCK, MODE);
  try {
    checkFile(file, descriptor);
    fchmodSync(descriptor, MODE);
    appendFileSync(descriptor, `${line}\n`);
  } finally {
    closeSync(descriptor);
  }
}

/** Replaces the file, whole or not at all, by its last lines. @returns their number */
function rewrite(file: string, lines: readonly string[]): number {
  const kept = lines.slice(-MAX_LINES);
  const fresh = `${file}.${process.pid}`;
  writeFileSync(fresh, kept.map((line) => `${line}\n`).join(''), { mode: MODE });
  renameSync(fresh, file);
  return kept.length;
}

/** @throws Error: it is no regular file, or larger than any that we write. */
function checkFile(file: string, descriptor: number): void {
  const stat = fstatSync(descriptor);
  if (!stat.isFile()) throw new Error(`${file} is no file`);
  if (stat.size > MAX_FILE_BYTES) throw new Error(`${file} is larger than ${MAX_FILE_BYTES} bytes`);
}
