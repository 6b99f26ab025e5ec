import { ReportEventsRequest } from '@spanmesh/proto/v1/event_report';
import { Event } from '@spanmesh/proto/v1/events';
import { expect, it } from 'vitest';
import { MAX_BUS_BYTES } from '../bus/bus.ts';
import { bounded, decodeReport, encodeReport, MAX_EVENT_TEXT, MAX_REPORTED_EVENTS } from './event-report.ts';

const TIME = new Date('2026-01-31T12:00:00Z');
const one = (more: Partial<Event> = {}): Event =>
  Event.fromPartial({ kind: 1, subject: 'x', id: 'y', time: TIME, firstTime: TIME, count: 1, ...more });

it('what is reported is what comes', () => {
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

it('what makes no sense is left out, and the rest is cut to size', () => {
  const raw = (...events: Partial<Event>[]) =>
    ReportEventsRequest.encode(ReportEventsRequest.fromPartial({ events: events.map(one) })).finish();
  expect(decodeReport(raw({ kind: 0 }, { kind: 64 as Event['kind'] }, { count: 0 }, { time: undefined }))).toEqual([]);
  expect(decodeReport(raw({ subject: 'z'.repeat(10_000) }))[0]?.subject).toHaveLength(MAX_EVENT_TEXT);
  expect(decodeReport(raw(...Array.from({ length: MAX_REPORTED_EVENTS + 1 }, () => ({}))))).toHaveLength(
    MAX_REPORTED_EVENTS,
  );
  expect(decodeReport(Buffer.from('no message'))).toEqual([]);
  expect(decodeReport(new Uint8Array(MAX_BUS_BYTES + 1))).toEqual([]);
  // Seconds that are no time of day: 9e18.
  const time = Buffer.from([0x22, 0x0a, 0x08, ...[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0xf3, 0x7c]]);
  const event = Buffer.concat([Buffer.from([0x10, 1]), time, Buffer.from([0x2a, 0, 0x30, 1])]);
  expect(decodeReport(Buffer.concat([Buffer.from([0x0a, event.length]), event]))).toEqual([]);
});
