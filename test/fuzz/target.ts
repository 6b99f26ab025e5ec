import type { Random } from './random.ts';

/**
 * Something that is fuzzed. An input is a string of bytes and nothing else, so that any input can be kept as a file, made smaller and
 * run again: what else a run needs (dialect, limits, where a stream is cut) is read from its first bytes.
 */
export interface Target {
  readonly name: string;
  /** Longest input in bytes. */
  readonly maxBytes: number;
  /** Bytes at the beginning that are not content: `shorter` leaves them. */
  readonly controlBytes: number;
  /** What is counted besides inputs, by what it is called. */
  readonly counts: Readonly<Record<string, number>>;
  /** Writes an input into `buf` and returns its length. Depends on `random` only. */
  generate(random: Random, buf: Uint8Array): number;
  /**
   * Runs an input, which it does not change and does not keep.
   * @throws Finding: an oracle says no. Any other exception is a finding, too: nothing may escape.
   */
  run(input: Uint8Array): void;
  /** Makes checksums and counters right again in an input that was made smaller; undefined where there are none. */
  mend?(input: Uint8Array): void;
}

/** What an oracle has to say. */
export class Finding extends Error {
  override readonly name = 'Finding';
}

/** An oracle: throws a Finding unless `holds`. `what` is only made if it does not. */
export function expectThat(holds: boolean, what: string | (() => string)): void {
  if (!holds) throw new Finding(typeof what === 'string' ? what : what());
}
