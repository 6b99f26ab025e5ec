import { ReportEventsRequest } from '@spanmesh/proto/v1/event_report';
import type { Event } from '@spanmesh/proto/v1/events';
import { MAX_BUS_BYTES } from '../bus/bus.ts';
import type { DetailsName } from './event-teller.ts';

/** Events in one report. */
export const MAX_REPORTED_EVENTS = 100;
/** Longest text of an event, characters; longer texts are cut. */
export const MAX_EVENT_TEXT = 300;
/** Highest number of a kind that is accepted: later versions have more kinds than this one. */
const MAX_EVENT_KIND = 63;
/** Most files that one event names. */
export const MAX_EVENT_FILES = 8;

type Details = { [Name in DetailsName]: NonNullable<Event[Name]> };

/** How details are cut. Details that are new in events.proto and missing here do not compile. */
const CUT: { readonly [Name in DetailsName]: (details: Details[Name]) => Details[Name] } = {
  peer: cutAll,
  target: cutAll,
  member: cutAll,
  drain: cutAll,
  files: (details) => ({ ...cutAll(details), files: details.files.slice(0, MAX_EVENT_FILES).map(cut) }),
  limit: cutAll,
  operator: cutAll,
};
const DETAILS_NAMES = Object.keys(CUT) as readonly DetailsName[];

/** The event with its texts cut, so that a report always fits on the bus, and histories are limited in bytes, too. */
export function bounded(event: Event): Event {
  const one: Event = {
    ...event,
    subject: cut(event.subject),
    principal: cut(event.principal),
    reporter: cut(event.reporter),
    id: cut(event.id),
  };
  for (const name of DETAILS_NAMES) cutDetails(one, name);
  return one;
}

/** Encodes at most MAX_REPORTED_EVENTS events, all of them `bounded`. */
export function encodeReport(events: Event[]): Uint8Array {
  return ReportEventsRequest.encode({ events }).finish();
}

/** The events of a report, brought within the limits: others who may write to the bus must not fill our memory. */
export function decodeReport(data: Uint8Array): Event[] {
  if (data.length > MAX_BUS_BYTES) return [];
  try {
    return believed(ReportEventsRequest.decode(data).events);
  } catch {
    return [];
  }
}

/** Events that were decoded elsewhere, brought within the same limits. */
export function believed(events: readonly Event[]): Event[] {
  return events.slice(0, MAX_REPORTED_EVENTS).filter(isKnown).map(bounded);
}

function isKnown({ kind, time, firstTime, count }: Event): boolean {
  return kind > 0 && kind <= MAX_EVENT_KIND && isTime(time) && isTime(firstTime) && count > 0;
}

/** Whether a time can be shown as one. */
function isTime(time: Date | undefined): boolean {
  return time !== undefined && !Number.isNaN(time.getTime());
}

function cutDetails<Name extends DetailsName>(event: Partial<Details>, name: Name): void {
  const details: Partial<Details>[Name] = event[name];
  if (details !== undefined) event[name] = CUT[name](details);
}

function cutAll<T extends object>(of: T): T {
  const copy = { ...of };
  for (const [name, value] of Object.entries(copy)) {
    if (typeof value === 'string') Object.assign(copy, { [name]: cut(value) });
  }
  return copy;
}

function cut(text: string): string {
  return text.length > MAX_EVENT_TEXT ? `${text.slice(0, MAX_EVENT_TEXT - 1).toWellFormed()}…` : text;
}
