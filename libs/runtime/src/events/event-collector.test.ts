import { Event, EventKind } from '@spanmesh/proto/v1/events';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import { EventCollector } from './event-collector.ts';
import { EventHistory } from './event-history.ts';

// Written once more: a change of them must be noticed.
const MAX_EARLY_EVENTS = 8192;
const MAX_SOURCES = 8192;

const A = 'a'.repeat(32);
const B = 'b'.repeat(32);

function event(id: string): Event {
  const time = new Date(0);
  return Event.fromPartial({
    kind: EventKind.EVENT_KIND_PEER_UP,
    subject: id,
    principal: id,
    id,
    time,
    firstTime: time,
  });
}

function world() {
  const history = new EventHistory({ clock: new FakeClock() });
  const collector = new EventCollector({ history });
  const ids = () => history.all().map(({ id }) => id);
  return { history, collector, ids };
}

describe('The events that a replica has received', () => {
  it('are added once each, whichever way they came', () => {
    const { collector, ids } = world();
    collector.begin([]);
    for (const id of [`${A}.1`, `${B}.7`, `${A}.1`, `${A}.2`, `${B}.7`, `${A}.1`]) collector.take(event(id));
    expect(ids()).toEqual([`${A}.1`, `${B}.7`, `${A}.2`]);
    expect(collector.lost).toBe(0);
  });

  it('begin with another replica’s history, followed by those that came meanwhile', () => {
    const { collector, ids } = world();
    collector.take(event(`${A}.3`));
    collector.take(event(`${A}.4`));
    collector.begin([event(`${A}.1`), event(`${B}.9`), event(`${A}.3`)]);
    collector.take(event(`${A}.5`));
    expect(ids()).toEqual([`${A}.1`, `${B}.9`, `${A}.3`, `${A}.4`, `${A}.5`]);
    // The other replica had counted two of them together, so their numbers leave a gap that is no loss.
    expect(collector.lost).toBe(0);
  });

  // Limits: events/event-collector.ts MAX_EARLY_EVENTS
  it('are kept up to a number while the history is awaited, the latest ones', () => {
    for (const waiting of [MAX_EARLY_EVENTS, MAX_EARLY_EVENTS + 3]) {
      const { history, collector } = world();
      for (let n = 1; n <= waiting; n++) collector.take(event(`${A}.${n}`));
      collector.begin([]);
      expect(history.end).toBe(MAX_EARLY_EVENTS);
      expect(history.all().at(-1)?.id).toBe(`${A}.${waiting}`);
    }
  });

  // Limits: events/event-collector.ts MAX_SOURCES
  // Causes: metric spanmesh_topology_events_lost_total
  it('remembers a limited number of processes, and forgets the one that has been silent for longest', () => {
    const { collector } = world();
    const source = (n: number) => n.toString(16).padStart(32, '0');
    collector.begin([]);
    for (let n = 0; n < MAX_SOURCES; n++) collector.take(event(`${source(n)}.1`));
    collector.take(event(`${source(0)}.3`));
    expect(collector.lost).toBe(1);
    // One process more than the limit: the second is forgotten, because the first has reported since.
    collector.take(event(`${source(MAX_SOURCES)}.1`));
    collector.take(event(`${source(1)}.3`));
    collector.take(event(`${source(0)}.5`));
    expect(collector.lost).toBe(2);
  });

  // Causes: metric spanmesh_topology_events_total
  it('counts what happened by kind, not what a history tells of it, and begins once', () => {
    const { collector, history } = world();
    collector.begin([event(`${A}.1`)]);
    collector.take({ ...event(`${A}.2`), count: 5 });
    collector.take({ ...event(`${A}.3`), kind: 63 as EventKind });
    collector.begin([event(`${B}.1`)]);
    expect(collector.counts['peer-up']).toBe(5);
    expect(Object.values(collector.counts).reduce((sum, count) => sum + count)).toBe(5);
    expect(history.end).toBe(3);
  });

  it('are left out when their id is none', () => {
    const { collector, ids } = world();
    collector.begin([]);
    for (const id of ['', 'x.1', `${A}.`, `${A}.1.1`, `${A}.-1`, `${A}.${'9'.repeat(16)}`]) collector.take(event(id));
    expect(ids()).toEqual([]);
  });
});
