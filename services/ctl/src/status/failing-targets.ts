import type { Target } from '@spanmesh/proto/v1/volconf';
import { printable } from '../output/printable.ts';
import { count } from '../views/words.ts';

/** Targets of the state CONNECT that are asked for: one page, even if there are more. */
export const TARGETS_LOOKED_AT = 100;
/** Failing targets that are named; the others are only counted. */
const MOST_NAMED = 3;

/** The first page of the targets that are being connected, or wait for the next attempt. */
export interface TriedTargets {
  readonly targets: readonly Target[];
  /** Empty: there are no further targets. */
  readonly nextPageToken: string;
}

/**
 * Whether an attempt has failed. One that is under way (it has a gateway) has not; `lastError` may be older than it.
 */
function hasFailed({ attempts, gateway, lastError }: Target): boolean {
  return lastError !== '' && (gateway === '' ? attempts : attempts - 1) > 0;
}

/**
 * A note on targets that could not be connected. They are no problem of the installation: the other side may be down.
 * null: nobody could be asked (volconf has no leader, or does not run).
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
