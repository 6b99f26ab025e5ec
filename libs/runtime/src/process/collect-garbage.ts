import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Collects all garbage of this process now. V8 starts its next full collection when the heap has grown by as much again
 * and by a young generation.
 */
export function collectGarbage(): void {
  // Node has the function only if it was started with the option, but gives it to a new context afterwards, too.
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('globalThis.gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof collect === 'function') collect();
}
