import { ReportEventsRequest } from '@spanmesh/proto/v1/event_report';
import { Event } from '@spanmesh/proto/v1/events';
import { expect, it } from 'vitest';
import { MAX_BUS_BYTES } from '../bus/bus.ts';
import { believed, bounded, decodeReport, encodeReport } from './event-report.ts';

// Written once more: a change of them must be noticed.
const MAX_EVENT_TEXT = 300;
const MAX_REPORTED_EVENTS = 100;

const TIME = new Date('2026-01-31T12:00:00Z');
/** A text that is longer than allowed. */
const LONG = 'x'.repeat(MAX_EVENT_TEXT + 1);
const one = (more: Partial<Event> = {}): Event =>
  Event.fromPartial({ kind: 1, subject: 'x', id: 'y', time: TIME, firstTime: TIME, count: 1, ...more });

it('a report is decoded as it was encoded', () => {
  const events = [one(), one({ kind: 6, target: { address: 'host:1', gateway: 'gw', error: 'why' }, count: 7 })];
  expect(decodeReport(encodeReport(events))).toEqual(events);
});

it('the longest report fits on the bus', () => {
  const text = '\u{1d11e}'.repeat(MAX_EVENT_TEXT);
  const files = { inUse: 1, error: text, files: Array.from({ length: 100 }, () => text) };
  const event = bounded(one({ subject: text, principal: text, reporter: text, id: text, files }));
  const report = encodeReport(Array.from({ length: MAX_REPORTED_EVENTS }, () => event));
  expect(report.length).toBeLessThan(MAX_BUS_BYTES);
  expect(decodeReport(report)).toHaveLength(MAX_REPORTED_EVENTS);
});

// Limits: events/event-report.ts MAX_EVENT_TEXT, events/event-report.ts MAX_EVENT_FILES, events/event-report.ts MAX_REPORTED_EVENTS, events/event-report.ts MAX_EVENT_KIND
it('texts that are too long are cut, files that are too many and kinds that are too high left out; at the limit all are kept', () => {
  const longest = 'x'.repeat(300);
  const subject = (text: string) => bounded(one({ subject: text })).subject;
  expect(subject(longest)).toBe(longest);
  expect(subject(`${longest}x`)).toBe(`${longest.slice(1)}…`);
  const files = (count: number) => ({ inUse: 1, error: '', files: Array.from({ length: count }, (_, i) => `${i}`) });
  expect(bounded(one({ files: files(8) })).files).toEqual(files(8));
  for (const count of [9, 301]) expect(bounded(one({ files: files(count) })).files).toEqual(files(8));
  const events = Array.from({ length: 100 }, (_, i) => one({ id: `${i}` }));
  expect(believed(events)).toEqual(events);
  expect(believed([...events, one()])).toEqual(events);
  const ofKind = (kind: number) => [one({ kind: kind as Event['kind'] })];
  expect(believed(ofKind(63))).toHaveLength(1);
  expect(believed(ofKind(64))).toEqual([]);
});

it.each<Partial<Event>>([
  { peer: { connection: LONG, address: LONG, dialect: 1, keyName: LONG, reason: LONG, label: LONG } },
  { target: { address: LONG, gateway: LONG, error: LONG } },
  { member: { address: LONG, epoch: 1, version: LONG, reason: LONG, service: LONG } },
  { drain: { order: LONG, done: false, chosen: 1, closed: 1, cut: 1 } },
  { files: { inUse: 1, error: LONG, files: [LONG] } },
  { limit: { limit: LONG, principal: LONG, value: 1, held: 1, ofAll: false } },
  { operator: { who: LONG, from: LONG, method: LONG, what: LONG, error: LONG, byConsole: false } },
  { subject: LONG, principal: LONG, reporter: LONG, id: LONG },
])('no text of an event stays too long (%#)', (more) => {
  expect(JSON.stringify(one(more))).toContain(LONG);
  expect(JSON.stringify(bounded(one(more)))).not.toContain('x'.repeat(MAX_EVENT_TEXT));
});

it('events without a valid time or kind are left out, and texts are cut', () => {
  const raw = (...events: Partial<Event>[]) =>
    ReportEventsRequest.encode(ReportEventsRequest.fromPartial({ events: events.map(one) })).finish();
  const wrong: Partial<Event>[] = [
    { kind: 0 },
    { kind: 64 as Event['kind'] },
    { count: 0 },
    { time: undefined },
    { firstTime: undefined },
  ];
  for (const bad of wrong) {
    expect(decodeReport(raw({ id: 'before' }, bad, { id: 'after' })).map(({ id }) => id)).toEqual(['before', 'after']);
  }
  expect(decodeReport(raw({ subject: 'z'.repeat(10_000) }))[0]?.subject).toHaveLength(MAX_EVENT_TEXT);
  expect(decodeReport(raw(...Array.from({ length: MAX_REPORTED_EVENTS + 1 }, () => ({}))))).toHaveLength(
    MAX_REPORTED_EVENTS,
  );
  expect(decodeReport(Buffer.from('no message'))).toEqual([]);
  const large = (bytes: number) => {
    const report = (length: number) => raw({ subject: 'z'.repeat(length) });
    return report(bytes - (report(bytes).length - bytes));
  };
  for (const [bytes, events] of [
    [MAX_BUS_BYTES, 1],
    [MAX_BUS_BYTES + 1, 0],
  ] as const) {
    const data = large(bytes);
    expect([data.length, decodeReport(data).length]).toEqual([bytes, events]);
  }
  const never = new Date(Number.NaN);
  expect(believed([one({ time: never }), one({ firstTime: never }), one({ count: -1 }), one({ id: 'good' })])).toEqual([
    one({ id: 'good' }),
  ]);
  // Seconds that make no valid time: 9e18.
  const time = Buffer.from([0x22, 0x0a, 0x08, ...[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0xf3, 0x7c]]);
  const event = Buffer.concat([Buffer.from([0x10, 1]), time, Buffer.from([0x2a, 0, 0x30, 1])]);
  expect(decodeReport(Buffer.concat([Buffer.from([0x0a, event.length]), event]))).toEqual([]);
});
