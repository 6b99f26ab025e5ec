import { dialectOf } from '@spanmesh/proto/dialect';
import { type Event, EventKind } from '@spanmesh/proto/v1/events';

/** Kinds that are told: neither the unused 0 nor one of a newer version. */
type KnownKind = Exclude<EventKind, typeof EventKind.EVENT_KIND_UNSPECIFIED | typeof EventKind.UNRECOGNIZED>;

/** The log's words for each kind of event. A kind that is new in events.proto and missing here does not compile. */
const WORDS: Readonly<Record<KnownKind, string>> = {
  [EventKind.EVENT_KIND_PEER_UP]: 'peer is up',
  [EventKind.EVENT_KIND_PEER_DOWN]: 'peer is down',
  [EventKind.EVENT_KIND_LNK_CONN]: 'peer asks for spans',
  [EventKind.EVENT_KIND_TARGET_CONNECTING]: 'target is being connected',
  [EventKind.EVENT_KIND_TARGET_UP]: 'target is connected',
  [EventKind.EVENT_KIND_TARGET_FAILED]: 'target cannot be connected',
  [EventKind.EVENT_KIND_GATEWAY_JOINED]: 'gateway has joined',
  [EventKind.EVENT_KIND_GATEWAY_LOST]: 'gateway is lost',
  [EventKind.EVENT_KIND_GATEWAY_DEAD]: 'gateway is dead',
  [EventKind.EVENT_KIND_REPLICA_JOINED]: 'replica has joined',
  [EventKind.EVENT_KIND_REPLICA_LOST]: 'replica is lost',
  [EventKind.EVENT_KIND_LEADER_CHANGED]: 'replica leads',
  [EventKind.EVENT_KIND_DRAIN]: 'drain',
  [EventKind.EVENT_KIND_CERTIFICATES_RELOADED]: 'certificates or tokens were read again',
  [EventKind.EVENT_KIND_CERTIFICATES_BAD]: 'changed certificates or tokens cannot be used',
  [EventKind.EVENT_KIND_KEYS_RELOADED]: 'keys were read again',
  [EventKind.EVENT_KIND_KEYS_BAD]: 'keys cannot be used',
  [EventKind.EVENT_KIND_LIMIT_HIT]: 'a principal has more than its share',
  [EventKind.EVENT_KIND_OPERATOR_ACT]: 'operator',
};

/** The same, for any number. */
const WORDS_OF: Readonly<Record<number, string>> = WORDS;

/** An event as a line of the log, without empty fields. */
export function eventLine(event: Event): { readonly fields: Record<string, unknown>; readonly words: string } {
  const { kind, subject, principal, count, firstTime } = event;
  const { peer, target, member, drain, files, limit, operator } = event;
  const details = peer ?? target ?? member ?? drain ?? files ?? limit ?? operator ?? {};
  const fields: Record<string, unknown> = { subject };
  if (principal !== subject) fields.principal = principal;
  for (const [name, value] of Object.entries(details)) if (value !== '' && value !== 0) fields[name] = value;
  // Every line has the field `service`, for the service that has written it.
  if (fields.service !== undefined) {
    fields.role = fields.service;
    delete fields.service;
  }
  if (typeof fields.dialect === 'number') fields.dialect = dialectOf(fields.dialect) ?? undefined;
  // `since`: when the first of the events happened that are reported together.
  if (count > 1) Object.assign(fields, { count, since: firstTime });
  return { fields, words: WORDS_OF[kind] ?? 'event' };
}
