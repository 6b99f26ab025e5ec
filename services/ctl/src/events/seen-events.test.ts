import { Event } from '@spanmesh/proto/v1/events';
import { expect, it } from 'vitest';
import { MAX_REMEMBERED, SeenEvents } from './seen-events.ts';

// Limits: events/seen-events.ts MAX_REMEMBERED
it('8192 events are remembered; then the first is forgotten', () => {
  const events = Array.from({ length: MAX_REMEMBERED + 1 }, (_, n) => Event.fromPartial({ id: `${n}` }));
  const [first, ...others] = events;
  const seen = new SeenEvents();
  expect(seen.fresh(events.slice(0, MAX_REMEMBERED))).toHaveLength(MAX_REMEMBERED);
  expect(seen.fresh(events.slice(0, MAX_REMEMBERED))).toEqual([]);
  expect(seen.fresh(events)).toEqual(others.slice(-1));
  expect(seen.fresh(others)).toEqual([]);
  expect(seen.fresh(events.slice(0, 1))).toEqual([first]);
});
