/** Most lines that are kept. */
export const MAX_RECENT_LINES = 500;
/** Most characters that the kept lines have together. */
export const MAX_RECENT_CHARS = 128 * 1024;
/** Longest line that is kept whole, in characters; of longer ones only the beginning is kept. */
const MAX_LINE_CHARS = 8 * 1024;

/**
 * The last lines of a log, for the analysis of a fault when the log itself is elsewhere. Its size is limited, whatever
 * is logged.
 */
export class RecentLines {
  readonly #lines: string[] = [];
  #chars = 0;

  /** Adds a line, with or without its end. */
  add(text: string): void {
    const line = text.trimEnd().slice(0, MAX_LINE_CHARS);
    this.#lines.push(line);
    this.#chars += line.length;
    while (this.#lines.length > MAX_RECENT_LINES || this.#chars > MAX_RECENT_CHARS) {
      this.#chars -= this.#lines.shift()?.length ?? 0;
    }
  }

  /** The lines, oldest first. */
  get all(): readonly string[] {
    return [...this.#lines];
  }
}

/** The last lines of this process. */
export const recentLines = new RecentLines();
