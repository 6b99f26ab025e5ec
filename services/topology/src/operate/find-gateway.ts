import { status } from '@grpc/grpc-js';
import { ApiError, invalid } from '@spanmesh/runtime/grpc/api-error';
import type { Gateway } from '../trees/gateway.ts';
import type { Trees } from '../trees/trees.ts';

/** The capability of gateways that obey `drains` and close connections in order (gateway_control.proto, Hello). */
const CAPABILITY = 'drain';

/**
 * The gateway that `text` names by its name or its id.
 * @throws ApiError NOT_FOUND, INVALID_ARGUMENT
 */
export function findGateway({ gateways }: Pick<Trees, 'gateways'>, text: string): Gateway {
  if (text === '') throw invalid('Name a gateway: its name, or its id.');
  const byId = gateways.get(text);
  if (byId !== undefined) return byId;
  for (const gateway of gateways.values()) if (gateway.name === text) return gateway;
  throw new ApiError(
    status.NOT_FOUND,
    `There is no gateway ${text}: \`spanmesh gateways list\` (GetStatus) shows those that are there.`,
  );
}

/**
 * Throws if an attached gateway cannot drain.
 * @throws ApiError FAILED_PRECONDITION: the gateway is too old
 */
export function checkCanDrain({ id, version, capabilities, attached }: Gateway): void {
  if (capabilities.has(CAPABILITY) || !attached) return;
  const software = version === '' ? 'its software' : `version ${version}`;
  throw new ApiError(
    status.FAILED_PRECONDITION,
    `Gateway ${id} (${software}) is too old to be told to close connections in order: upgrade it first.`,
  );
}

export function notAttached({ id }: Gateway): ApiError {
  return new ApiError(status.UNAVAILABLE, `Gateway ${id} is not attached to the leader at the moment: try again.`);
}
