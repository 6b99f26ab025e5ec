import { hostname } from 'node:os';

/** Longest name of a gateway. */
export const MAX_NAME = 63;

/**
 * A name for the gateway from that of its host: the first label in lower case, with `-` for all that a name cannot
 * hold.
 */
export function hostLabel(host = hostname()): string {
  const label = host
    .toLowerCase()
    .replace(/\..*/s, '')
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, MAX_NAME)
    .replace(/^-|-$/g, '');
  return label === '' ? 'gateway' : label;
}
