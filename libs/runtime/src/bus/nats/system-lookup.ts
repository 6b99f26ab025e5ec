import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';

/** Names that are being looked up. */
const pending = new Map<string, Promise<LookupAddress[]>>();

/**
 * Looks a name up as the system does: the hosts file, then whatever it is told to ask. A name is asked for once at a time, however many
 * wait for it: an answer that does not come holds one of the few threads that the process has for such things.
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
