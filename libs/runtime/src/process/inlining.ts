import { setFlagsFromString } from 'node:v8';

/**
 * Bytes of byte code that V8's optimizing compiler may inline into one function; by default 920. A message passes
 * through some twenty short methods between the read and the write: with the default some of them stay calls, others in
 * each process (docs/decisions/015-inlining.md).
 */
const INLINED_BYTES = 4000;

/** The option of V8; a Node whose V8 does not know it goes on with the default. */
export const INLINING_OPTION = '--max-inlined-bytecode-size-cumulative';

/** Lets V8 inline more. Call it before anything runs that is to be fast. */
export function widenInlining(set: (flags: string) => void = setFlagsFromString): void {
  set(`${INLINING_OPTION}=${INLINED_BYTES}`);
}

/**
 * Runs `work` while V8's middle compiler (Maglev) inlines nothing: many functions are then compiled with less memory,
 * of which the allocator keeps most. What is used much is compiled anew later.
 */
export async function withoutEarlyInlining<T>(
  work: () => Promise<T>,
  set: (flags: string) => void = setFlagsFromString,
): Promise<T> {
  set('--no-maglev-inlining');
  try {
    return await work();
  } finally {
    set('--maglev-inlining');
  }
}
