import { EventKind } from '@spanmesh/proto/v1/events';
import { describe, expect, it } from 'vitest';
import {
  EventHistory,
  MAX_ACTS_PER_PRINCIPAL,
  MAX_EVENTS_PER_KIND,
  MAX_EVENTS_PER_PRINCIPAL,
  type NewEvent,
} from './event-history.ts';

const { EVENT_KIND_PEER_UP: UP, EVENT_KIND_PEER_DOWN: DOWN, EVENT_KIND_OPERATOR_ACT: ACT } = EventKind;

function event(kind: EventKind, subject: string, second = 0): NewEvent {
  return { kind, subject, time: new Date(second * 1000), reporter: 'gw.1' };
}

describe('The history of events', () => {
  it('lists what happened in order, each with its number', () => {
    const history = new EventHistory();
    history.add(event(UP, 'gw.1:1'), 'a');
    history.add(event(DOWN, 'gw.1:1'), 'a');
    history.add(event(UP, 'gw.1:2'), 'b');
    expect(history.all().map(({ number, kind, count }) => [number, kind, count])).toEqual([
      [1, UP, 1],
      [2, DOWN, 1],
      [3, UP, 1],
    ]);
  });

  it('counts what a flapping peer repeats, and keeps what others did', () => {
    const history = new EventHistory();
    history.add(event(UP, 'gw.1:0'), 'quiet');
    const times = 10 * MAX_EVENTS_PER_KIND;
    for (let n = 1; n <= times; n += 1) history.add(event(UP, `gw.1:${n}`, n), 'flapping');
    const [first, ...flaps] = history.all();
    expect(first?.subject).toBe('gw.1:0');
    expect(flaps).toHaveLength(MAX_EVENTS_PER_PRINCIPAL);
    expect(flaps.reduce((sum, { count }) => sum + count, 0)).toBe(times);
    expect(flaps.at(-1)).toMatchObject({
      subject: `gw.1:${times}`,
      firstTime: new Date(MAX_EVENTS_PER_PRINCIPAL * 1000),
      time: new Date(times * 1000),
    });
  });

  it('keeps so many of a kind, whoever caused them, and those of other kinds', () => {
    const history = new EventHistory();
    history.add(event(ACT, 'gw'), 'operator');
    for (let n = 0; n < 2 * MAX_EVENTS_PER_KIND; n += 1) history.add(event(DOWN, `gw.1:${n}`), `peer ${n}`);
    expect(history.all()).toHaveLength(MAX_EVENTS_PER_KIND + 1);
    expect(history.all()[0]?.kind).toBe(ACT);
  });

  it('keeps many acts of one operator one by one', () => {
    const history = new EventHistory();
    for (let n = 0; n < MAX_ACTS_PER_PRINCIPAL; n += 1) history.add(event(ACT, 'gw'), 'operator');
    expect(history.all().every(({ count }) => count === 1)).toBe(true);
    expect(history.add(event(ACT, 'gw'), 'operator').count).toBe(2);
    expect(history.all()).toHaveLength(MAX_ACTS_PER_PRINCIPAL);
  });

  it('goes on from a token', () => {
    const history = new EventHistory();
    history.add(event(UP, 'gw.1:1'), 'a');
    const { token } = history;
    expect(history.since(token)).toEqual({ events: [], historyLost: false });
    const next = history.add(event(DOWN, 'gw.1:1'), 'a');
    expect(history.since(token)).toEqual({ events: [next], historyLost: false });
  });

  it('says that history was lost once entries after the token were dropped, not when they were counted', () => {
    const history = new EventHistory();
    const { token } = history;
    for (let n = 0; n < 2 * MAX_EVENTS_PER_PRINCIPAL; n += 1) history.add(event(UP, `gw.1:${n}`), 'flapping');
    expect(history.since(token).historyLost).toBe(false);
    for (let n = 0; n < MAX_EVENTS_PER_KIND; n += 1) history.add(event(UP, `gw.1:${n}`), `peer ${n}`);
    expect(history.since(token).historyLost).toBe(true);
    expect(history.since(history.token).historyLost).toBe(false);
  });

  it('says that history was lost for a token of another one, of the future, or of nobody', () => {
    const history = new EventHistory();
    const only = history.add(event(UP, 'gw.1:1'), 'a');
    const [id] = history.token.split('.');
    for (const token of [new EventHistory().token, `${id}.2`, `${id}.-1`, `${id}.1.1`, `${id}.`, 'x', '']) {
      expect(history.since(token), token).toEqual({ events: [only], historyLost: true });
    }
  });

  it('tells those who listen, until they stop', () => {
    const history = new EventHistory();
    const heard: number[] = [];
    const stop = history.listen(({ number }) => heard.push(number));
    history.add(event(UP, 'gw.1:1'), 'a');
    stop();
    history.add(event(UP, 'gw.1:2'), 'a');
    expect(heard).toEqual([1]);
  });
});
