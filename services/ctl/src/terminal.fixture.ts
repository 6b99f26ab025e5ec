import { Readable, Writable } from 'node:stream';
import type { Terminal } from './terminal.ts';

/** A terminal that remembers what was printed, and on which a test can await output. */
export class RecordingTerminal implements Terminal {
  readonly env: Record<string, string | undefined>;
  /** The keys that the test types. */
  in: Readable = Readable.from([]);
  printed = '';
  noted = '';
  readonly out = this.#stream((text) => {
    this.printed += text;
  });
  readonly err = this.#stream((text) => {
    this.noted += text;
  });
  #waiting: { readonly isThere: () => boolean; readonly resolve: () => void }[] = [];

  constructor(env: Record<string, string | undefined> = {}) {
    this.env = env;
  }

  /** Resolves once `isThere` holds; looked at whenever something is printed. */
  until(isThere: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ isThere, resolve });
      this.#look();
    });
  }

  #stream(take: (text: string) => void): Writable {
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        take(chunk.toString());
        this.#look();
        done();
      },
    });
  }

  #look(): void {
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ isThere, resolve }) => {
      if (!isThere()) return true;
      resolve();
      return false;
    });
  }
}
