import type { Logger } from '../log/logger.ts';
import type { Setting } from './setting.ts';

const PREFIX = 'SPANMESH_';
/** Letters that two names may differ by to be taken for the same: no two settings are so alike (a test looks). */
export const MISSPELT_LETTERS = 2;
/** Longest name that is compared, characters. */
const MAX_NAME_CHARS = 100;

/** A variable of the environment that is no setting, and looks like one. */
export interface Misspelt {
  readonly variable: string;
  readonly meant: string;
}

/**
 * Variables that differ from the name of a setting by a letter or two. What is only unknown is left alone: processes share an
 * environment, and each has settings that the others do not know.
 */
export function misspeltSettings(
  env: Readonly<Record<string, string | undefined>>,
  settings: Readonly<Record<string, Setting<unknown>>>,
): Misspelt[] {
  const names = new Set(Object.values(settings).map((setting) => setting.env));
  const found: Misspelt[] = [];
  for (const variable of Object.keys(env)) {
    if (!variable.toUpperCase().startsWith(PREFIX.slice(0, -1)) || names.has(variable)) continue;
    if (variable.length > MAX_NAME_CHARS) continue;
    for (const meant of names) {
      if (lettersApart(variable.toUpperCase(), meant) > MISSPELT_LETTERS) continue;
      found.push({ variable, meant });
      break;
    }
  }
  return found;
}

/** Says of each in the log that it is not used; its value may be a secret, and is not shown. */
export function warnOfMisspelt(
  env: Readonly<Record<string, string | undefined>>,
  settings: Readonly<Record<string, Setting<unknown>>>,
  logger: Logger,
): void {
  for (const { variable, meant } of misspeltSettings(env, settings)) {
    logger.warn({ variable, meant }, 'this variable is no setting and is not used; another has almost its name');
  }
}

/** Levenshtein's distance. */
export function lettersApart(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const other = (above[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(other, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    above = row;
  }
  return above[b.length] ?? 0;
}
