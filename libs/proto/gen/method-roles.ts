// Made by libs/proto/method-roles.ts from the option `role` in proto/.

/** What each method of the API asks of its caller, by its path. Methods between services are not here. */
export const METHOD_ROLES: Readonly<Record<string, "read" | "operate">> = {
  '/spanmesh.v1.Events/ListEvents': 'read',
  '/spanmesh.v1.Events/WatchEvents': 'read',
  '/spanmesh.v1.Messaging/AcquireCluster': 'operate',
  '/spanmesh.v1.Messaging/OpenRoute': 'operate',
  '/spanmesh.v1.Messaging/ReleaseCluster': 'operate',
  '/spanmesh.v1.Messaging/RenewClusters': 'operate',
  '/spanmesh.v1.Messaging/ResolveNode': 'operate',
  '/spanmesh.v1.Messaging/WaitCluster': 'operate',
  '/spanmesh.v1.Process/Inspect': 'operate',
  '/spanmesh.v1.Process/ListProcesses': 'read',
  '/spanmesh.v1.Process/SetLogLevel': 'operate',
  '/spanmesh.v1.Topology/CaptureConnection': 'operate',
  '/spanmesh.v1.Topology/CloseConnection': 'operate',
  '/spanmesh.v1.Topology/DrainGateway': 'operate',
  '/spanmesh.v1.Topology/Explain': 'read',
  '/spanmesh.v1.Topology/GetStatus': 'read',
  '/spanmesh.v1.Topology/GetTree': 'read',
  '/spanmesh.v1.Topology/ListClusters': 'read',
  '/spanmesh.v1.Topology/ListConnections': 'read',
  '/spanmesh.v1.Topology/ListLinks': 'read',
  '/spanmesh.v1.Topology/ListNodes': 'read',
  '/spanmesh.v1.Topology/ListRelays': 'read',
  '/spanmesh.v1.Topology/ListTraffic': 'read',
  '/spanmesh.v1.Topology/Watch': 'read',
  '/spanmesh.v1.Volconf/GetTarget': 'read',
  '/spanmesh.v1.Volconf/ListTargets': 'read',
  '/spanmesh.v1.Volconf/RemoveTarget': 'operate',
  '/spanmesh.v1.Volconf/SetTarget': 'operate',
  '/spanmesh.v1.Volconf/WatchTargets': 'read',
};

/** The paths of those that ask for `operate`. */
export type OperateMethod =
  | '/spanmesh.v1.Messaging/AcquireCluster'
  | '/spanmesh.v1.Messaging/OpenRoute'
  | '/spanmesh.v1.Messaging/ReleaseCluster'
  | '/spanmesh.v1.Messaging/RenewClusters'
  | '/spanmesh.v1.Messaging/ResolveNode'
  | '/spanmesh.v1.Messaging/WaitCluster'
  | '/spanmesh.v1.Process/Inspect'
  | '/spanmesh.v1.Process/SetLogLevel'
  | '/spanmesh.v1.Topology/CaptureConnection'
  | '/spanmesh.v1.Topology/CloseConnection'
  | '/spanmesh.v1.Topology/DrainGateway'
  | '/spanmesh.v1.Volconf/RemoveTarget'
  | '/spanmesh.v1.Volconf/SetTarget';
