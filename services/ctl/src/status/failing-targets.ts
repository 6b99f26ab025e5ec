import type { Target } from '@spanmesh/proto/v1/volconf';
import { printable } from '../output/printable.ts';
import { count } from '../views/words.ts';

/** Targets of the state CONNECT that are asked for: one page, however many there are. */
export const TARGETS_LOOKED_AT = 100;
/** Failing targets that are named; the rest are counted. */
const MOST_NAMED = 3;

/** Some of the targets that are being connected, or wait for the next try. */
export interface TriedTargets {
  readonly targets: readonly Target[];
  /** Empty: these are all. */
  readonly nextPageToken: string;
}

/** The attempt that is under way (it has a gateway) has not failed; `lastError` may be from before it. */
function hasFailed({ attempts, gateway, lastError }: Target): boolean {
  return lastError !== '' && (gateway === '' ? attempts : attempts - 1) > 0;
}

/**
 * A note on targets that were tried in vain. No problem of the installation: the other side may be down, and is tried again. null: they
 * could not be asked for (nobody leads volconf, or there is none).
 */
export function failingTargetsNote(tried: TriedTargets | null): string[] {
  const failing = tried?.targets.filter(hasFailed) ?? [];
  if (tried === null || failing.length === 0) return [];
  const named = failing
    .slice(0, MOST_NAMED)
    .map(({ name, path, lastError }) => `${printable(name)} (${printable(path)}): ${printable(lastError)}`);
  const atLeast = tried.nextPageToken === '' ? '' : 'at least ';
  const more = failing.length > named.length ? '; spanmesh volconf list --state connect has all' : '';
  return [`volconf cannot reach ${atLeast}${count(failing.length, 'target')}: ${named.join('; ')}${more}`];
}
