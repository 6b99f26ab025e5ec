/**
 * Names of services as their certificates carry them (subjectAltName, DNS). A service is who its certificate says it is, wherever
 * it runs: addresses change, and say nothing.
 */
export const LINK_GATEWAY_NAME = 'link-gateway.spanmesh';
export const TOPOLOGY_NAME = 'topology.spanmesh';
export const VOLCONF_NAME = 'volconf.spanmesh';
/** The name of services that serve the API to its users. */
export const API_NAME = 'api.spanmesh';

/** Who may be met on the service port. */
export const SERVICE_NAMES = [LINK_GATEWAY_NAME, TOPOLOGY_NAME, VOLCONF_NAME] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];
