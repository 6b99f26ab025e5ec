import { signal } from '@preact/signals';
import { type EventTone, eventText, eventTone, kindText } from '@spanmesh/ctl/events/event-text';
import { SeenEvents } from '@spanmesh/ctl/events/seen-events';
import type { Event } from '@spanmesh/proto/v1/events';
import { events, words } from './api.ts';
import { follow } from './follow.ts';

/** Events that the page keeps. */
export const MOST_EVENTS = 5000;
/** Shortest time between two redrawings for events, ms. */
const DRAW_MS = 150;

/** An event as it is shown. */
export interface Shown {
  readonly id: string;
  /** ms since 1970, by the clock of the process that saw it. */
  readonly at: number;
  readonly kind: string;
  readonly tone: EventTone;
  readonly text: string;
  readonly reporter: string;
}

/** The events, the newest first. */
export const happened = signal<readonly Shown[]>([]);
/** Why events are not being followed; empty: they are. */
export const eventsTrouble = signal('');
/** Events that were lost on their way to the replica that answers. */
export const eventsLost = signal(0);

let news: Shown[] = [];
let drawing: ReturnType<typeof setTimeout> | undefined;
let resumeToken = '';
const seen = new SeenEvents();

/** Follows events for ever, beginning with all that are known. @returns a function that ends it */
export function followEvents(): () => void {
  return follow(
    async (abort, progress) => {
      const since = resumeToken === '' ? new Date(0) : undefined;
      for await (const message of events.watchEvents({ resumeToken, since }, { signal: abort })) {
        progress();
        eventsTrouble.value = '';
        eventsLost.value = message.lost;
        resumeToken = message.resumeToken;
        for (const event of seen.fresh(message.events)) news.push(shown(event));
        draw();
      }
      throw new Error('the server has ended the stream');
    },
    (error) => {
      eventsTrouble.value = words(error);
    },
  );
}

function shown(event: Event): Shown {
  const { id, time, reporter } = event;
  return {
    id,
    at: time?.getTime() ?? 0,
    kind: kindText(event),
    tone: eventTone(event),
    text: eventText(event),
    reporter,
  };
}

/** Redraws soon, to show new events. */
function draw(): void {
  if (news.length === 0 || drawing !== undefined) return;
  drawing = setTimeout(() => {
    drawing = undefined;
    happened.value = [...news.reverse(), ...happened.value].slice(0, MOST_EVENTS);
    news = [];
  }, DRAW_MS);
}
