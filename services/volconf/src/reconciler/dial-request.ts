import { apiDialect } from '@spanmesh/proto/dialect';
import type { DialRequest } from '@spanmesh/proto/v1/dial';
import type { Destination, Target } from './target.ts';

/** Fields that are the same in all orders of a term. */
export interface OrderOptions {
  readonly epoch: number;
  /** How long a gateway may take to connect, and the peer to answer, ms. */
  readonly connectTimeout: number;
  readonly answerTimeout: number;
}

/** The order to connect a target (dial.proto), with the generation of the order. */
export function dialRequest(
  { owner, label, mediaId, principal, byOperator }: Target,
  { host, port, dialect }: Destination,
  generation: number,
  { epoch, connectTimeout, answerTimeout }: OrderOptions,
): DialRequest {
  return {
    owner,
    epoch,
    generation,
    host,
    port,
    dialect: apiDialect(dialect),
    connectTimeoutMs: Math.ceil(connectTimeout),
    answerTimeoutMs: Math.ceil(answerTimeout),
    label,
    mediaId,
    principal,
    byOperator,
  };
}
