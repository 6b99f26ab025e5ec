/**
 * Names of services in their certificates (subjectAltName, DNS). A service is identified by its certificate, wherever
 * it runs: addresses change, and identify nobody.
 */
export const LINK_GATEWAY_NAME = 'link-gateway.spanmesh';
export const TOPOLOGY_NAME = 'topology.spanmesh';
export const VOLCONF_NAME = 'volconf.spanmesh';
/** The name for processes that serve the API to its users. */
export const API_NAME = 'api.spanmesh';

/** The services that connect to service ports. */
export const SERVICE_NAMES = [LINK_GATEWAY_NAME, TOPOLOGY_NAME, VOLCONF_NAME] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];
