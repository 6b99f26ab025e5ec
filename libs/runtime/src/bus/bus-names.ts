/**
 * Every bucket and subject on the bus, so that two services cannot mean different things by one name. On NATS the installation's name
 * is put before each: with another name one is on another bus.
 */

/** Gateways that have joined; key: the gateway's name, value: GatewayRecord (registry.ts). */
export const GATEWAYS_BUCKET = 'gateways';
/** Who leads; key: the role, value: LeaseRecord (lease-record.ts). */
export const LEASES_BUCKET = 'leases';
/** Outbound connections that an operator asks for; the key is volconf's business. */
export const TARGETS_BUCKET = 'targets';
/** All buckets. */
export const BUCKETS = [LEASES_BUCKET, GATEWAYS_BUCKET, TARGETS_BUCKET] as const;

/** Roles that are held by one process at a time; keys in LEASES_BUCKET. */
export const TOPOLOGY_ROLE = 'topology';
export const VOLCONF_ROLE = 'volconf';

/** All news. */
export const ALL_EVENTS = 'events.>';

/** `events.<kind>.<gateway>`: what happened, and at which gateway. A `.` in the name is no separator. */
export function eventSubject(kind: string, gateway: string): string {
  return `events.${kind}.${gateway.replaceAll(/[.*>\s]/g, '_')}`;
}

/** All news of one kind, from every gateway. */
export function eventsOfKind(kind: string): string {
  return `events.${kind}.*`;
}

/** Events of every process, for replicas of topology (event_report.proto). */
export const EVENT_REPORTS = 'reports';

/** Questions of a process to all others (process-directory.ts). */
export const PROCESS_QUESTIONS = 'processes.ask';

/** Where the answers to one question go. */
export function processAnswers(question: string): string {
  return `processes.answer.${question}`;
}

/** `<installation>-<bucket>`: a bucket where installations share a place, as on NATS. Two different ones never give the same. */
export function bucketOf(installation: string, bucket: string): string {
  return `${installation}-${bucket}`;
}

/** `<installation>.<subject>`: the same of a subject, or of a pattern. */
export function subjectOf(installation: string, subject: string): string {
  return `${installation}.${subject}`;
}

/** What `subjectOf` has made it of. */
export function subjectWithin(installation: string, subject: string): string {
  return subject.slice(installation.length + 1);
}

/** Signs of life of all processes (signs-of-life.ts), once a second each. */
export const SIGNS_OF_LIFE = 'alive';
