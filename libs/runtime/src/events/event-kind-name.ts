import { EventKind } from '@spanmesh/proto/v1/events';

const PREFIX = 'EVENT_KIND_';

/** All kinds of event, by their names for people: `peer-up`. */
export const EVENT_KINDS: ReadonlyMap<string, EventKind> = new Map(
  Object.entries(EventKind)
    .filter(([, kind]) => kind > 0)
    .map(([name, kind]) => [name.slice(PREFIX.length).toLowerCase().replaceAll('_', '-'), kind]),
);

const NAMES: ReadonlyMap<EventKind, string> = new Map([...EVENT_KINDS].map(([name, kind]) => [kind, name]));

/** Name of a kind, for people; `kind-99` for one that this version does not know. */
export function eventKindName(kind: EventKind): string {
  return NAMES.get(kind) ?? `kind-${kind}`;
}
