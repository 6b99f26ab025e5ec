import { splitId } from '@spanmesh/proto/gateway-id';
import { hex8 } from '../gateway-ids.ts';
import type { OpenTables } from '../peers/open-tables.ts';

/**
 * For `tree`: the msgid of a relay of gateway `own`, by the API's ids of its link and LNK_CONN, 16 hexadecimal digits.
 * null: it is no relay of this gateway, or not open yet.
 */
export function relayMsgid(
  tables: Pick<OpenTables, 'source'>,
  own: string,
  { linkId, lnkConnId }: { readonly linkId: string; readonly lnkConnId: string },
): string | null {
  const lnkConn = splitId(lnkConnId);
  if (lnkConn.gateway !== own) return null;
  const link = splitId(linkId);
  const source = tables.source(link.gateway === own ? '' : link.gateway, link.number);
  const tx = source?.relays.get(lnkConn.number)?.tx ?? null;
  return tx === null ? null : hex8(tx.msgidHi) + hex8(tx.msgidLo);
}
