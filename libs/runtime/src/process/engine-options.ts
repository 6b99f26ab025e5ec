import { setFlagsFromString } from 'node:v8';

/** An option of V8 that services run with. A Node whose V8 does not know one goes on with its default. */
export interface EngineOption {
  /** Without the dashes and without `no-`. */
  readonly name: string;
  readonly value: number | boolean;
}

/** docs/decisions/015-engine-options.md has what each is good for, measured. */
export const ENGINE_OPTIONS: readonly EngineOption[] = [
  // Bytes of byte code that may be inlined into one function; by default 920. A message passes through some twenty
  // short methods between the read and the write: with the default some of them stay calls, others in each process.
  { name: 'max-inlined-bytecode-size-cumulative', value: 4000 },
  // What types a function has seen is noted from its first call, and not from its eighth, so it is compiled sooner.
  { name: 'lazy-feedback-allocation', value: false },
  // By this much the young generation grows when it is full; by default 2. A burst fills it again and again.
  { name: 'semi-space-growth-factor', value: 8 },
];

/** Sets them for this process. Call it before anything runs that is to be fast. */
export function setEngineOptions(set: (flags: string) => void = setFlagsFromString): void {
  for (const { name, value } of ENGINE_OPTIONS) {
    if (typeof value === 'number') set(`--${name}=${value}`);
    else set(value ? `--${name}` : `--no-${name}`);
  }
}
