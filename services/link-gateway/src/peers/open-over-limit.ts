import type { Logger, Throttle } from '@spanmesh/runtime/log/logger';
import type { Connection } from '../connection/connection.ts';

/**
 * Logs, once an interval per address, that a peer was refused one more LNK_CONN or LNK_SPAN than it may have open. Its
 * connection goes on.
 */
export function logOpenOverLimit(
  { logger, throttle }: { readonly logger: Logger; readonly throttle: Throttle },
  connection: Connection,
  what: string,
  limit: number,
): void {
  const { log, suppressed } = throttle.admit(`over limit ${what} ${connection.address}`);
  if (!log) return;
  const advice = 'raise the limit if the peer needs that many';
  logger.warn(
    { connection: connection.id, peer: connection.remote, what, limit, advice, suppressed },
    'refused: too many open',
  );
}
