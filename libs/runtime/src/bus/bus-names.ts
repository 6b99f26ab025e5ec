/**
 * Every bucket and subject on the bus, so that two services cannot mean different things by one name. On NATS the
 * installation's name is put before each, which separates installations.
 */

/** Gateways that have joined; key: the gateway's name, value: GatewayRecord (registry.ts). */
export const GATEWAYS_BUCKET = 'gateways';
/** Which process leads in which role; key: the role, value: LeaseRecord (lease-record.ts). */
export const LEASES_BUCKET = 'leases';
/** Outbound connections that operators want; volconf alone decides on the keys. */
export const TARGETS_BUCKET = 'targets';
/** All buckets. */
export const BUCKETS = [LEASES_BUCKET, GATEWAYS_BUCKET, TARGETS_BUCKET] as const;

/** Roles that one process at a time has; keys in LEASES_BUCKET. */
export const TOPOLOGY_ROLE = 'topology';
export const VOLCONF_ROLE = 'volconf';

/** Pattern of all events. */
export const ALL_EVENTS = 'events.>';

/**
 * `events.<kind>.<gateway>`: the subject for an event at a gateway. A `.` in the gateway's name is replaced, since it
 * would separate tokens.
 */
export function eventSubject(kind: string, gateway: string): string {
  return `events.${kind}.${gateway.replaceAll(/[.*>\s]/g, '_')}`;
}

/** Pattern of the events of one kind, from every gateway. */
export function eventsOfKind(kind: string): string {
  return `events.${kind}.*`;
}

/** Subject of reports of events, from every process to the replicas of topology (event_report.proto). */
export const EVENT_REPORTS = 'reports';

/** Subject of questions that a process asks all others (process-directory.ts). */
export const PROCESS_QUESTIONS = 'processes.ask';

/** Subject of the answers to one question. */
export function processAnswers(question: string): string {
  return `processes.answer.${question}`;
}

/**
 * `<installation>-<bucket>`: the name of a bucket where installations share a store, as on NATS. Different pairs never
 * have the same name.
 */
export function bucketOf(installation: string, bucket: string): string {
  return `${installation}-${bucket}`;
}

/** `<installation>.<subject>`: a subject, or a pattern, where installations share a bus. */
export function subjectOf(installation: string, subject: string): string {
  return `${installation}.${subject}`;
}

/** The subject from which `subjectOf` has made this one. */
export function subjectWithin(installation: string, subject: string): string {
  return subject.slice(installation.length + 1);
}

/** Subject of the signs of life that all processes give (signs-of-life.ts), once a second each. */
export const SIGNS_OF_LIFE = 'alive';
