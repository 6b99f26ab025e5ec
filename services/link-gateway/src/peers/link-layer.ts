import { BASE_MASK, LNK_CONN_CIRCUIT, LNK_CONN_LINKID, LNK_SPAN } from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { GatewayMetrics } from '../metrics.ts';

/**
 * LNK_SPAN or LNK_CONN: only ever between neighbours (protocol.md, "Transactions"). The references' end nodes take them from wherever they
 * come, so none is passed on: no peer may pass off spans on another through us.
 */
export function isLinkLayer({ cmd }: Frame): boolean {
  const base = cmd & BASE_MASK;
  return base === LNK_SPAN || base === LNK_CONN_CIRCUIT || base === LNK_CONN_LINKID;
}

/** A transaction that is for somebody else may not be of the link layer. True: it is, and is refused. */
export function refusesLinkLayer(
  tx: Transaction,
  frame: Frame,
  metrics: Pick<GatewayMetrics, 'routedDropped'>,
): boolean {
  if (!isLinkLayer(frame)) return false;
  metrics.routedDropped++;
  tx.endpoint.end(tx, ErrorCode.NOSUPP);
  return true;
}
