import type { Target } from './target.ts';

/** The most runs for making one input smaller. */
const MAX_TRIES = 4000;
/** Milliseconds after which an input is not made smaller any more. */
const MAX_MS = 10_000;

/** The error that an input causes; null: none. */
export function failureOf(target: Target, input: Uint8Array): Error | null {
  try {
    target.run(input);
    return null;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/**
 * A smaller input that fails in the same way (the same class of error, the same text up to its first digit). Pieces are
 * removed, large ones first, then bytes are set to 0; each attempt is made once unchanged and once with corrected
 * checksums.
 */
export function minimise(target: Target, input: Uint8Array): Uint8Array {
  const wanted = signature(failureOf(target, input));
  let best: Uint8Array = input.slice();
  let tries = 0;
  const until = performance.now() + MAX_MS;
  const isOver = () => tries >= MAX_TRIES || performance.now() > until;
  const isBetter = (candidate: Uint8Array): boolean => {
    if (isOver()) return false;
    tries++;
    if (signature(failureOf(target, candidate)) === wanted) {
      best = candidate;
      return true;
    }
    if (target.mend === undefined) return false;
    const mended = candidate.slice();
    target.mend(mended);
    if (signature(failureOf(target, mended)) !== wanted) return false;
    best = mended;
    return true;
  };
  for (let size = 1 << 20; size >= 1; size >>= 1) {
    if (size > best.length) continue;
    for (let at = best.length - size; at >= target.controlBytes && !isOver(); at -= size) {
      if (at + size <= best.length) isBetter(without(best, at, size));
    }
  }
  for (let at = 0; at < best.length && !isOver(); at++) {
    if (best[at] === 0) continue;
    const zeroed = best.slice();
    zeroed[at] = 0;
    isBetter(zeroed);
  }
  return best;
}

function without(input: Uint8Array, at: number, size: number): Uint8Array {
  const shorter = new Uint8Array(input.length - size);
  shorter.set(input.subarray(0, at));
  shorter.set(input.subarray(at + size), at);
  return shorter;
}

function signature(failure: Error | null): string | null {
  return failure === null ? null : `${failure.name}: ${failure.message.split(/\d/)[0]}`;
}
