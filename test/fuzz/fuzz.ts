import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { failureOf, minimise } from './minimise.ts';
import { Random } from './random.ts';
import type { Target } from './target.ts';

/** The folder for inputs that failed, made smaller. */
export const FAILURES = fileURLToPath(new URL('./failures/', import.meta.url));

/** Findings after which a target is not run any more: repeated findings usually have one cause. */
const MAX_FINDINGS = 5;
/** Inputs between two checks of the time. */
const BATCH = 64;

export interface FuzzOptions {
  readonly seed: number;
  /** The number of inputs, or instead the seconds. */
  readonly runs?: number;
  readonly seconds?: number;
  /** Receives a line of text about each finding. */
  readonly report: (line: string) => void;
}

export interface Outcome {
  readonly target: string;
  readonly seed: number;
  readonly inputs: number;
  readonly seconds: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly findings: number;
}

/** Runs inputs of a target, one after the other. The same seed makes the same inputs. */
export function fuzz(target: Target, options: FuzzOptions): Outcome {
  const random = new Random(options.seed);
  const buf = new Uint8Array(target.maxBytes);
  const start = performance.now();
  const limit = options.runs ?? Number.POSITIVE_INFINITY;
  const until = options.runs === undefined ? start + 1000 * (options.seconds ?? 1) : Number.POSITIVE_INFINITY;
  let inputs = 0;
  let findings = 0;
  // Errors are common here, and making their stack traces would take most of the time.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    while (inputs < limit && findings < MAX_FINDINGS) {
      if (inputs % BATCH === 0 && performance.now() > until) break;
      const bytes = target.generate(random, buf);
      inputs++;
      const input = buf.subarray(0, bytes);
      if (failureOf(target, input) === null) continue;
      findings++;
      Error.stackTraceLimit = stackTraceLimit;
      keep(target, input.slice(), `${options.seed}-${inputs}`, options.report);
      Error.stackTraceLimit = 0;
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  const seconds = (performance.now() - start) / 1000;
  return { target: target.name, seed: options.seed, inputs, seconds, counts: target.counts, findings };
}

function keep(target: Target, input: Uint8Array, name: string, report: (line: string) => void): void {
  const failure = failureOf(target, input);
  if (failure === null) {
    report(`${target.name}: an input failed once and does not again (${name})`);
    return;
  }
  const smaller = minimise(target, input);
  const file = keepInput(target.name, name, smaller);
  report(`${target.name}: FOUND, ${smaller.length} of ${input.length} bytes in ${file}\n${failure.stack}`);
}

/** Writes an input to a file, and returns the file's name. */
export function keepInput(target: string, name: string, input: Uint8Array): string {
  mkdirSync(FAILURES, { recursive: true });
  const file = `${FAILURES}${target}-${name}.bin`;
  writeFileSync(file, input);
  return file;
}
