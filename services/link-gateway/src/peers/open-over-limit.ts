import type { Logger, Throttle } from '@spanmesh/runtime/log/logger';
import type { PoolLimit } from '@spanmesh/runtime/shares/pool';
import type { Connection } from '../connection/connection.ts';

/** A peer has opened one more of something than it may; it has been told, and the rest of its connection goes on. */
export function tellOpenOverLimit(
  {
    logger,
    throttle,
    shares,
  }: {
    readonly logger: Logger;
    readonly throttle: Throttle;
    readonly shares: { limited(limit: PoolLimit): void };
  },
  connection: Connection,
  what: string,
  limit: number,
): void {
  const { principal } = connection;
  shares.limited({ resource: `${what}s of a connection`, bound: 'share', principal, held: limit, limit });
  const { log, suppressed } = throttle.admit(`over limit ${what} ${connection.address}`);
  if (!log) return;
  const advice = 'raise the limit if the peer needs that many';
  logger.warn(
    { connection: connection.id, peer: connection.remote, what, limit, advice, suppressed },
    'refused: too many open',
  );
}
