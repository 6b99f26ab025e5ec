import type { Logger, Throttle } from '@spanmesh/runtime/log/logger';
import type { ConnId } from '@spanmesh/spantree/ids';
import { adviceFor, type CloseReason } from './close-reason.ts';

/** More about why a connection is closed, for the log. */
export type CloseDetail = Readonly<Record<string, unknown>>;

/** Logs that a connection is closed: where somebody is at fault, once an interval for each reason and address. */
export function logClose(
  closed: { readonly id: ConnId; readonly address: string; readonly remote: string },
  reason: CloseReason,
  detail: CloseDetail,
  { logger, throttle }: { readonly logger: Logger; readonly throttle: Throttle },
): void {
  const advice = adviceFor(reason);
  const fields = { connection: closed.id, peer: closed.remote, reason, ...detail };
  if (advice === null) {
    logger.debug(fields, 'connection closed');
    return;
  }
  const { log, suppressed } = throttle.admit(`${reason} ${closed.address}`);
  if (!log) return;
  const line = { ...fields, advice, suppressed };
  if (reason === 'internal') logger.error(line, 'connection closed');
  else logger.warn(line, 'connection closed');
}
