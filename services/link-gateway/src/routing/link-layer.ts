import { BASE_MASK, LNK_CONN_CIRCUIT, LNK_CONN_LINKID, LNK_SPAN } from '@spanmesh/dmsg/command';
import type { Frame } from '@spanmesh/dmsg/frame';

/**
 * LNK_SPAN or LNK_CONN: only ever between neighbours (protocol.md, "Transactions"). The references' end nodes take them from wherever they
 * come, so none is passed on: no peer may pass off spans on another through us.
 */
export function isLinkLayer({ cmd }: Frame): boolean {
  const base = cmd & BASE_MASK;
  return base === LNK_SPAN || base === LNK_CONN_CIRCUIT || base === LNK_CONN_LINKID;
}
