import { Event, EventKind } from '@spanmesh/proto/v1/events';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import { EventHistory } from './event-history.ts';

// Written once more: a change of them must be noticed.
const MAX_ACTS_PER_PRINCIPAL = 256;
const MAX_EVENTS_PER_KIND = 1024;
const MAX_EVENTS_PER_PRINCIPAL = 64;
const RESUME_OVERLAP_MS = 5000;

const { EVENT_KIND_PEER_UP: UP, EVENT_KIND_PEER_DOWN: DOWN, EVENT_KIND_OPERATOR_ACT: ACT } = EventKind;

function event(kind: EventKind, subject: string, principal: string, second = 0): Event {
  const time = new Date(second * 1000);
  return Event.fromPartial({ kind, subject, principal, time, firstTime: time, count: 1, reporter: 'gw.1' });
}

describe('The history of events', () => {
  it('lists events in order, each with its number', () => {
    const history = new EventHistory({ clock: new FakeClock() });
    history.add(event(UP, 'gw.1:1', 'a'));
    history.add(event(DOWN, 'gw.1:1', 'a'));
    history.add(event(UP, 'gw.1:2', 'b'));
    expect(history.all().map(({ number, kind, count }) => [number, kind, count])).toEqual([
      [1, UP, 1],
      [2, DOWN, 1],
      [3, UP, 1],
    ]);
  });

  // Limits: events/event-history.ts MAX_EVENTS_PER_PRINCIPAL
  it('counts a flapping peer’s repeats together, except for its last ones, and keeps the events of others', () => {
    const history = new EventHistory({ clock: new FakeClock() });
    history.add(event(UP, 'gw.1:0', 'quiet'));
    const times = 10 * MAX_EVENTS_PER_KIND;
    for (let n = 1; n <= MAX_EVENTS_PER_PRINCIPAL; n += 1) history.add(event(UP, `gw.1:${n}`, 'flapping', n));
    expect(history.all().every(({ count }) => count === 1)).toBe(true);
    for (let n = MAX_EVENTS_PER_PRINCIPAL + 1; n <= times; n += 1) history.add(event(UP, `gw.1:${n}`, 'flapping', n));
    const [first, ...flaps] = history.all();
    expect(first?.subject).toBe('gw.1:0');
    expect(flaps).toHaveLength(MAX_EVENTS_PER_PRINCIPAL);
    expect(flaps.reduce((sum, { count }) => sum + count, 0)).toBe(times);
    expect(flaps[0]).toMatchObject({ firstTime: new Date(1000), count: times - MAX_EVENTS_PER_PRINCIPAL + 1 });
    expect(flaps.at(-1)).toMatchObject({ subject: `gw.1:${times}`, time: new Date(times * 1000), count: 1 });
  });

  // Limits: events/event-history.ts MAX_EVENTS_PER_KIND
  it('keeps a limited number of events of a kind from all principals together, and all of other kinds', () => {
    const history = new EventHistory({ clock: new FakeClock() });
    history.add(event(ACT, 'gw', 'operator'));
    const add = (n: number) => history.add(event(DOWN, `gw.1:${n}`, `peer ${n}`));
    for (let n = 0; n < MAX_EVENTS_PER_KIND; n += 1) add(n);
    expect(history.all()[1]?.subject).toBe('gw.1:0');
    for (let n = MAX_EVENTS_PER_KIND; n < 2 * MAX_EVENTS_PER_KIND; n += 1) add(n);
    expect(history.all()[1]?.subject).toBe(`gw.1:${MAX_EVENTS_PER_KIND}`);
    expect(history.all()).toHaveLength(MAX_EVENTS_PER_KIND + 1);
    expect(history.all()[0]?.kind).toBe(ACT);
  });

  // Limits: events/event-history.ts MAX_ACTS_PER_PRINCIPAL
  it('keeps many acts of one operator one by one', () => {
    const history = new EventHistory({ clock: new FakeClock() });
    for (let n = 0; n < MAX_ACTS_PER_PRINCIPAL; n += 1) history.add(event(ACT, 'gw', 'operator'));
    expect(history.all().every(({ count }) => count === 1)).toBe(true);
    history.add(event(ACT, 'gw', 'operator'));
    expect(history.all()).toHaveLength(MAX_ACTS_PER_PRINCIPAL);
    expect(history.all()[0]?.count).toBe(2);
  });

  it('goes on from a token', () => {
    const history = new EventHistory({ clock: new FakeClock() });
    history.add(event(UP, 'gw.1:1', 'a'));
    const { token } = history;
    expect(history.since(token)).toEqual({ events: [], historyLost: false });
    const next = history.add(event(DOWN, 'gw.1:1', 'a'));
    expect(history.since(token)).toEqual({ events: [next], historyLost: false });
    expect(history.since(history.tokenAt(0)).events).toHaveLength(2);
  });

  it('goes on from a token of another replica, and repeats some events', () => {
    const clock = new FakeClock();
    const [one, other] = [new EventHistory({ clock }), new EventHistory({ clock })];
    const both = (subject: string) => {
      one.add(event(UP, subject, subject));
      return other.add(event(UP, subject, subject));
    };
    both('long ago');
    clock.advance(2 * RESUME_OVERLAP_MS);
    const lately = both('lately');
    const { token } = one;
    clock.advance(1000);
    const then = both('then');
    expect(other.since(token)).toEqual({ events: [lately, then], historyLost: false });
    const young = new EventHistory({ clock });
    expect(young.since(token)).toEqual({ events: [], historyLost: true });
  });

  it('says that history was lost if entries after the token were dropped, not if they were counted together', () => {
    const history = new EventHistory({ clock: new FakeClock() });
    const { token } = history;
    for (let n = 0; n < 2 * MAX_EVENTS_PER_PRINCIPAL; n += 1) history.add(event(UP, `gw.1:${n}`, 'flapping'));
    expect(history.since(token).historyLost).toBe(false);
    for (let n = 0; n < MAX_EVENTS_PER_KIND; n += 1) history.add(event(UP, `gw.1:${n}`, `peer ${n}`));
    expect(history.since(token).historyLost).toBe(true);
    expect(history.since(history.token).historyLost).toBe(false);
  });

  it('says that history was lost for a token of the future, or of an unknown replica', () => {
    const history = new EventHistory({ clock: new FakeClock() });
    const only = history.add(event(UP, 'gw.1:1', 'a'));
    const [id, , at] = history.token.split('.');
    for (const token of [`${id}.2.${at}`, `${id}.-1.${at}`, `${id}.1.1.1`, `${id}.1`, `${id}.`, 'x', '']) {
      expect(history.since(token), token).toEqual({ events: [only], historyLost: true });
      expect(history.numberOf(token)).toBeNull();
    }
  });

  it('calls listeners until they are removed', () => {
    const history = new EventHistory({ clock: new FakeClock() });
    const heard: number[] = [];
    const stop = history.listen(({ number }) => heard.push(number));
    history.add(event(UP, 'gw.1:1', 'a'));
    stop();
    history.add(event(UP, 'gw.1:2', 'a'));
    expect(heard).toEqual([1]);
  });
});
