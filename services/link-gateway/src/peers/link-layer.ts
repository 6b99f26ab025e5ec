import { BASE_MASK, LNK_SPAN } from '@spanmesh/dmsg/command';
import { rulesOfLnkConn } from '@spanmesh/dmsg/dialect';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { GatewayMetrics } from '../metrics.ts';

/**
 * True for LNK_SPAN and LNK_CONN, which are only ever sent between neighbours (protocol.md, "Transactions"). The
 * references' end nodes accept them from anywhere, so the router passes none on: otherwise a peer could pass off spans
 * on another peer through us.
 */
export function isLinkLayer({ cmd }: Frame): boolean {
  return (cmd & BASE_MASK) === LNK_SPAN || rulesOfLnkConn(cmd) !== null;
}

/**
 * Refuses a LNK_SPAN or LNK_CONN that a peer opens towards another peer, and returns true; other commands are not
 * touched (false).
 */
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
