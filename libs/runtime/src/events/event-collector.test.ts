import { Event, EventKind } from '@spanmesh/proto/v1/events';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import { EventCollector, MAX_EARLY_EVENTS } from './event-collector.ts';
import { EventHistory } from './event-history.ts';

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

describe('What a replica has heard', () => {
  it('has each event once, whichever way it came', () => {
    const { collector, ids } = world();
    collector.begin([]);
    for (const id of [`${A}.1`, `${B}.7`, `${A}.1`, `${A}.2`, `${B}.7`, `${A}.1`]) collector.take(event(id));
    expect(ids()).toEqual([`${A}.1`, `${B}.7`, `${A}.2`]);
    expect(collector.lost).toBe(0);
  });

  it("begins with another replica's history, and takes what came meanwhile after it", () => {
    const { collector, ids } = world();
    collector.take(event(`${A}.3`));
    collector.take(event(`${A}.4`));
    collector.begin([event(`${A}.1`), event(`${B}.9`), event(`${A}.3`)]);
    collector.take(event(`${A}.5`));
    expect(ids()).toEqual([`${A}.1`, `${B}.9`, `${A}.3`, `${A}.4`, `${A}.5`]);
    // The other one had counted two of them together.
    expect(collector.lost).toBe(0);
  });

  it('keeps only so much while it waits', () => {
    const { history, collector } = world();
    for (let n = 1; n <= MAX_EARLY_EVENTS + 3; n++) collector.take(event(`${A}.${n}`));
    collector.begin([]);
    expect(history.end).toBe(MAX_EARLY_EVENTS);
  });

  it('has nothing of what is no id', () => {
    const { collector, ids } = world();
    collector.begin([]);
    for (const id of ['', 'x.1', `${A}.`, `${A}.1.1`, `${A}.-1`, `${A}.${'9'.repeat(16)}`]) collector.take(event(id));
    expect(ids()).toEqual([]);
  });
});
