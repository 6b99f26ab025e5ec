import type { Random } from './random.ts';

/**
 * Code that is fuzzed. An input is a string of bytes, so that any input can be kept as a file, made smaller and run
 * again. All parameters of a run (dialect, limits, where a stream is cut) are read from its first bytes.
 */
export interface Target {
  readonly name: string;
  /** Longest input in bytes. */
  readonly maxBytes: number;
  /** Bytes at the beginning that are parameters: minimising keeps them. */
  readonly controlBytes: number;
  /** Counts besides the number of inputs, by name. */
  readonly counts: Readonly<Record<string, number>>;
  /** Writes an input into `buf` and returns its length. It depends on `random` only. */
  generate(random: Random, buf: Uint8Array): number;
  /**
   * Runs an input, which it neither changes nor keeps.
   * @throws Finding: an oracle fails. Any other exception is a finding, too, because none may escape.
   */
  run(input: Uint8Array): void;
  /** Corrects checksums and counters in an input that was made smaller; undefined if the target has none. */
  mend?(input: Uint8Array): void;
}

/** The failure of an oracle. */
export class Finding extends Error {
  override readonly name = 'Finding';
}

/** An oracle: throws a Finding unless `holds`. The text is only made in that case. */
export function expectThat(holds: boolean, what: string | (() => string)): void {
  if (!holds) throw new Finding(typeof what === 'string' ? what : what());
}
