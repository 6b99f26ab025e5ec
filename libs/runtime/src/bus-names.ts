/** Every bucket and subject on the bus, so that two services cannot mean different things by one name. */

/** Gateways that have joined; key: the gateway's name, value: GatewayRecord (registry.ts). */
export const GATEWAYS_BUCKET = 'spanmesh-gateways';
/** Who leads; key: the role, value: LeaseRecord (lease-record.ts). */
export const LEASES_BUCKET = 'spanmesh-leases';
/** Outbound connections that an operator asks for; the key is volconf's business. */
export const TARGETS_BUCKET = 'spanmesh-targets';

/** Roles that are held by one process at a time; keys in LEASES_BUCKET. */
export const TOPOLOGY_ROLE = 'topology';
export const VOLCONF_ROLE = 'volconf';

/** All news. */
export const ALL_EVENTS = 'spanmesh.events.>';

/** `spanmesh.events.<kind>.<gateway>`: what happened, and at which gateway. A `.` in the name is no separator. */
export function eventSubject(kind: string, gateway: string): string {
  return `spanmesh.events.${kind}.${gateway.replaceAll(/[.*>\s]/g, '_')}`;
}

/** All news of one kind, from every gateway. */
export function eventsOfKind(kind: string): string {
  return `spanmesh.events.${kind}.*`;
}

/** What a process asks all others (process-directory.ts). */
export const PROCESS_QUESTIONS = 'spanmesh.processes.ask';

/** Where the answers to one question go. */
export function processAnswers(question: string): string {
  return `spanmesh.processes.answer.${question}`;
}

/** Signs of life of all processes (signs-of-life.ts), once a second each. */
export const SIGNS_OF_LIFE = 'spanmesh.alive';
