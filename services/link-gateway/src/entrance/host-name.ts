import { hostname } from 'node:os';

/** Longest name of a gateway. */
export const MAX_NAME = 63;

/** The name of this host as a gateway may have it: its first label in lower case, and - for whatever else a name cannot hold. */
export function hostLabel(host = hostname()): string {
  const label = host
    .toLowerCase()
    .replace(/\..*/s, '')
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, MAX_NAME)
    .replace(/^-|-$/g, '');
  return label === '' ? 'gateway' : label;
}
