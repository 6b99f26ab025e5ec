import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';

/** Lookups under way, by name. */
const pending = new Map<string, Promise<LookupAddress[]>>();

/**
 * Looks a name up as the system does: in the hosts file, then wherever the system is configured to ask. However many
 * wait for a name, it is asked for once at a time: a lookup without an answer occupies one of the process's few threads
 * for such work.
 */
export const systemLookup: LookupFunction = (hostname, { all }, callback) => {
  let asked = pending.get(hostname);
  if (asked === undefined) {
    asked = lookup(hostname, { all: true }).finally(() => pending.delete(hostname));
    pending.set(hostname, asked);
  }
  asked.then(
    (found) => {
      if (all === true) callback(null, found);
      else callback(null, found[0]?.address ?? '', found[0]?.family);
    },
    (error: NodeJS.ErrnoException) => callback(error, ''),
  );
};
