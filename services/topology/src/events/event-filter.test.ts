import { status } from '@grpc/grpc-js';
import { Event, EventKind } from '@spanmesh/proto/v1/events';
import { describe, expect, it } from 'vitest';
import { eventFilter } from './event-filter.ts';

// Written once more: a change of them must be noticed.
const MAX_KINDS = 64;
const MAX_SUBJECT_CHARS = 300;

const { EVENT_KIND_PEER_UP: UP, EVENT_KIND_PEER_DOWN: DOWN } = EventKind;
const event = Event.fromPartial({ kind: UP, subject: 'a', time: new Date(1000) });
const invalid = expect.objectContaining({ code: status.INVALID_ARGUMENT });

describe('a filter of events', () => {
  it('accepts all events if no field is set', () => {
    expect(eventFilter({ kinds: [], subject: '' })(event)).toBe(true);
    expect(eventFilter({ kinds: [], subject: '' })(Event.fromPartial({}))).toBe(true);
  });

  it.each([
    [{ kinds: [DOWN, UP] }, true],
    [{ kinds: [DOWN] }, false],
    [{ subject: 'a' }, true],
    [{ subject: 'ab' }, false],
    [{ since: new Date(1000) }, true],
    [{ since: new Date(1001) }, false],
    [{ kinds: [UP], subject: 'b', since: new Date(0) }, false],
  ])('accepts matching events: %j', (fields, isMeant) => {
    expect(eventFilter({ kinds: [], subject: '', ...fields })(event)).toBe(isMeant);
  });

  // Limits: events/limits.ts MAX_KINDS, events/limits.ts MAX_SUBJECT_CHARS
  // Causes: code events/event-filter.ts INVALID_ARGUMENT
  it('has a limited number of kinds, and a subject of limited length', () => {
    const kinds = (count: number) => Array.from({ length: count }, () => UP);
    expect(eventFilter({ kinds: kinds(MAX_KINDS), subject: '' })(event)).toBe(true);
    expect(() => eventFilter({ kinds: kinds(MAX_KINDS + 1), subject: '' })).toThrow(invalid);
    const longest = 'x'.repeat(MAX_SUBJECT_CHARS);
    expect(eventFilter({ kinds: [], subject: longest })({ ...event, subject: longest })).toBe(true);
    expect(() => eventFilter({ kinds: [], subject: `${longest}x` })).toThrow(invalid);
  });
});
