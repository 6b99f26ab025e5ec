import { createHash } from 'node:crypto';
import type { GatewayId } from '@spanmesh/spantree/ids';

/** Boot id: 8 hexadecimal digits (gateway_control.proto, Hello). `random`: 0 to 1. */
export function bootId(random: number): string {
  return hex8(Math.floor(random * 2 ** 32));
}

/**
 * Node id (pfs_fsid) of the span that a gateway offers for its clients; another one after each start of the process.
 */
export function gatewayUuid(id: GatewayId): string {
  const hash = createHash('sha256').update(id).digest('hex');
  // RFC 9562: version 8 (custom), variant 10.
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
}

/** 8 hexadecimal digits of an unsigned 32-bit number. */
export function hex8(word: number): string {
  return word.toString(16).padStart(8, '0');
}
