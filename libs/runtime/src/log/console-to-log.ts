import { format } from 'node:util';
import type { Logger } from './logger.ts';

/** Longest text that is taken over, characters: a library may print what a peer has sent. */
const MAX_CHARS = 4000;
const METHODS = ['debug', 'error', 'info', 'log', 'trace', 'warn'] as const;

/**
 * Turns what libraries print into lines of the log, whose readers expect JSON only. `target`: default: the process's
 * console. Returns a function that undoes it.
 */
export function consoleToLog(logger: Logger, target: Pick<Console, (typeof METHODS)[number]> = console): () => void {
  const before = METHODS.map((method) => [method, target[method]] as const);
  for (const method of METHODS) {
    target[method] = (...said: unknown[]) => {
      logger.warn({ said: format(...said).slice(0, MAX_CHARS) }, 'a library has printed this');
    };
  }
  return () => {
    for (const [method, own] of before) target[method] = own;
  };
}
