import { status } from '@grpc/grpc-js';
import type { CloseConnectionRequest, CloseConnectionResponse } from '@spanmesh/proto/v1/topology';
import { ApiError, invalid } from '@spanmesh/runtime/grpc/api-error';
import { runNow } from '@spanmesh/runtime/grpc/slices';
import type { Commander } from '../attach/commander.ts';
import { findConnection } from '../show/find.ts';
import { showConnection } from '../show/show-connection.ts';
import { connectionData } from '../trees/gateway.ts';
import type { Trees } from '../trees/trees.ts';
import { checkCanDrain, notAttached } from './find-gateway.ts';

/** Longest reason, in characters (topology.proto). */
const MAX_REASON_CHARS = 200;

/**
 * Orders the gateway to close a connection, for an operator.
 * @throws ApiError NOT_FOUND, INVALID_ARGUMENT, FAILED_PRECONDITION, UNAVAILABLE (topology.proto)
 */
export function closeConnection(
  trees: Trees,
  commander: Pick<Commander, 'close'>,
  { connection: text, reason }: CloseConnectionRequest,
): CloseConnectionResponse {
  if (reason.length > MAX_REASON_CHARS)
    throw new ApiError(status.INVALID_ARGUMENT, `A reason has at most ${MAX_REASON_CHARS} characters.`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they would spoil logs and terminals.
  if (/[\x00-\x1f\x7f]/.test(reason)) throw invalid('A reason is one line, without control characters.');
  const connection = runNow(findConnection(trees, text));
  const { gateway } = connectionData(connection);
  checkCanDrain(gateway);
  if (!commander.close(connection, reason === '' ? 'by an operator' : `by an operator: ${reason}`)) {
    throw notAttached(gateway);
  }
  return { connection: showConnection(connection) };
}
