import { Event } from '@spanmesh/proto/v1/events';
import { EVENT_KINDS } from '@spanmesh/runtime/events/event-kind-name';
import { type EventQuery, EventsApi } from '../api/events-api.ts';
import type { ApiOptions } from '../api-options.ts';
import { Failure } from '../failure.ts';
import { isDocument, writeDocumentOfStream } from '../output/document.ts';
import { protobufJson } from '../output/json.ts';
import { type Paint, paintFor } from '../output/paint.ts';
import { note, type Terminal, write } from '../terminal.ts';
import { timeText } from '../views/words.ts';
import { eventText, eventTone, KIND_NAMES, kindText } from './event-text.ts';
import { followEvents } from './follow-events.ts';

export interface EventsAsked {
  /** Names of kinds; none: all. */
  readonly kinds: readonly string[];
  /**
   * Only events of this many ms before now; undefined: all events that are known (when they are followed: only new
   * ones).
   */
  readonly sinceMs?: number | undefined;
  readonly subject: string;
  /** Only this number of events, the last ones; 0: all. */
  readonly limit: number;
  /** Go on with new events, until the signal is aborted. */
  readonly follow: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly options: ApiOptions;
}

/** Width of the longest name of a kind, so that the subjects are in a column. */
const KIND_WIDTH = Math.max(...KIND_NAMES.map((name) => name.length));

/** Prints events, the oldest first. JSON: one document a line. @throws Failure */
export async function showEvents(
  { kinds, sinceMs, subject, limit, follow, signal, options }: EventsAsked,
  terminal: Terminal,
) {
  const query: EventQuery = {
    kinds: kinds.map(kindOf),
    since: sinceMs === undefined ? undefined : new Date(Date.now() - sinceMs),
    subject,
  };
  const api = new EventsApi(options);
  const paint = paintFor(terminal.out);
  const print = (event: Event): Promise<void> =>
    isDocument(options.output)
      ? writeDocumentOfStream(options.output, terminal.out, protobufJson(Event, event))
      : write(terminal.out, eventLine(event, paint));
  const onNote = (line: string): void => note(terminal, line);
  try {
    if (follow) {
      await followEvents(query, { api, onEvent: print, onNote, signal });
      return;
    }
    const { events, lost } = await api.events(query);
    for (const event of limit === 0 ? events : events.slice(-limit)) await print(event);
    if (lost > 0) onNote(`${lost} more were lost on their way to this replica`);
  } finally {
    api.close();
  }
}

/** An event as one line: time, kind, then the sentence about it. */
export function eventLine(event: Event, paint: Paint): string {
  const tone = eventTone(event);
  const kind = kindText(event).padEnd(KIND_WIDTH);
  return `${timeText(event.time)} ${tone === 'plain' ? kind : paint(tone, kind)} ${eventText(event)}\n`;
}

function kindOf(name: string) {
  const kind = EVENT_KINDS.get(name);
  if (kind !== undefined) return kind;
  throw new Failure('usage', `there is no kind ${name}: ${KIND_NAMES.join(', ')}`);
}
