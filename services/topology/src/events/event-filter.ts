import type { Event, EventKind } from '@spanmesh/proto/v1/events';
import { invalid } from '@spanmesh/runtime/grpc/api-error';
import { MAX_KINDS, MAX_SUBJECT_CHARS } from './limits.ts';

/** The fields of a request that select events; each may be empty. */
export interface EventFilter {
  readonly kinds: readonly EventKind[];
  readonly since?: Date | undefined;
  readonly subject: string;
}

/**
 * A function that tells whether a request asks for an event.
 * @throws ApiError INVALID_ARGUMENT: too many kinds, or too long a subject
 */
export function eventFilter({ kinds, since, subject }: EventFilter): (event: Event) => boolean {
  if (kinds.length > MAX_KINDS) throw invalid(`At most ${MAX_KINDS} kinds.`);
  if (subject.length > MAX_SUBJECT_CHARS) throw invalid(`A subject has at most ${MAX_SUBJECT_CHARS} characters.`);
  const meant = new Set(kinds);
  const from = since?.getTime() ?? Number.NEGATIVE_INFINITY;
  return (event) =>
    (meant.size === 0 || meant.has(event.kind)) &&
    (subject === '' || event.subject === subject) &&
    (event.time?.getTime() ?? 0) >= from;
}
