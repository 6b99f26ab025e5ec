import type { MsgHdrs } from 'nats';

export const KV_OPERATION = 'KV-Operation';

/** Whether a message marks its key as deleted or purged, by whichever client. */
export function isDeleted(header: MsgHdrs | undefined): boolean {
  return header?.has(KV_OPERATION) === true;
}
