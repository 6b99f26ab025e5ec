import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { EventsService } from '@spanmesh/proto/v1/events';
import { ProcessService } from '@spanmesh/proto/v1/process';
import { TopologyService } from '@spanmesh/proto/v1/topology';
import { VolconfService } from '@spanmesh/proto/v1/volconf';
import { METHOD_ROLES } from '@spanmesh/runtime/access/api-access';
import type { ApiRole } from '@spanmesh/runtime/access/api-tokens';

/** A method that a page may call. */
export interface BridgedMethod {
  /** Whether the answer is a stream. */
  readonly isStream: boolean;
  /** The role that the API asks of its caller. */
  readonly role: ApiRole;
}

const SERVICES: readonly ServiceDefinition[] = [TopologyService, VolconfService, ProcessService, EventsService];

/** Methods that a page may call, by path: those of the API except messages to peers, which no page sends. */
export const BRIDGED_METHODS: ReadonlyMap<string, BridgedMethod> = new Map(
  SERVICES.flatMap((service) => Object.values(service)).flatMap(bridged),
);

function bridged({
  path,
  requestStream,
  responseStream: isStream,
}: MethodDefinition<unknown, unknown>): [string, BridgedMethod][] {
  const role = METHOD_ROLES[path];
  return requestStream || role === undefined || role === 'anyone' ? [] : [[path, { isStream, role }]];
}
