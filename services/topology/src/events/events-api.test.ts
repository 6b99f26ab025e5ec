import { EventEmitter } from 'node:events';
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import {
  Event,
  EventKind,
  ListEventsRequest,
  type ListEventsResponse,
  WatchEventsRequest,
  type WatchEventsResponse,
} from '@spanmesh/proto/v1/events';
import { EventHistory, MAX_EVENTS_PER_KIND } from '@spanmesh/runtime/events/event-history';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { describe, expect, it } from 'vitest';
import { ApiShares } from '../api-shares.ts';
import { EventsApi } from './events-api.ts';

// Written once more: a change of them must be noticed.
const MAX_EVENTS_PER_MESSAGE = 500;
const MAX_KINDS = 64;
const MAX_QUEUED_EVENTS = 1024;
const PROGRESS_MS = 10_000;

const { EVENT_KIND_PEER_UP: UP, EVENT_KIND_TARGET_FAILED: FAILED } = EventKind;

/** The server's end of a watch. */
class FakeStream extends EventEmitter {
  readonly sent: WatchEventsResponse[] = [];
  readonly metadata = new Metadata();
  accepts = true;
  error: ServiceError | undefined;
  ended = false;
  readonly request: WatchEventsRequest;

  constructor(request: Partial<WatchEventsRequest>) {
    super();
    this.request = WatchEventsRequest.fromPartial(request);
    this.on('error', (error: ServiceError) => {
      this.error = error;
    });
  }

  getPeer(): string {
    return '127.0.0.1:1';
  }

  write(response: WatchEventsResponse): boolean {
    this.sent.push(response);
    return this.accepts;
  }

  end(): void {
    this.ended = true;
  }

  get subjects(): string[] {
    return this.sent.flatMap(({ events }) => events.map(({ subject }) => subject));
  }
}

function world() {
  const clock = new FakeClock();
  const logger = createLogger({ level: 'silent', service: 'test' });
  const history = new EventHistory({ clock });
  const collector = { lost: 0 };
  const api = new EventsApi({ history, collector, shares: new ApiShares({ logger, clock }), clock, logger });
  let n = 0;
  const add = (subject: string, kind: EventKind = UP, principal = subject) => {
    const time = new Date(clock.wall());
    return history.add(Event.fromPartial({ kind, subject, principal, time, firstTime: time, count: 1, id: `${++n}` }));
  };
  const list = (request: Partial<ListEventsRequest> = {}) => {
    const answered = Promise.withResolvers<ListEventsResponse>();
    const call = { request: ListEventsRequest.fromPartial(request) } as Parameters<
      typeof api.implementation.listEvents
    >[0];
    api.implementation.listEvents(call, (error, answer) => {
      if (error !== null) answered.reject(error);
      else if (answer) answered.resolve(answer);
    });
    return answered.promise;
  };
  const watch = (request: Partial<WatchEventsRequest> = {}) => {
    const stream = new FakeStream(request);
    api.implementation.watchEvents(stream as unknown as Parameters<typeof api.implementation.watchEvents>[0]);
    return stream;
  };
  return { clock, history, collector, api, add, list, watch };
}

describe('ListEvents', () => {
  it('gives pages, and a token from which a watch misses nothing', async () => {
    const { add, list, watch, clock } = world();
    for (const subject of ['a', 'b', 'c']) add(subject);
    const first = await list({ pageSize: 2 });
    expect(first.events.map(({ subject }) => subject)).toEqual(['a', 'b']);
    add('d');
    const second = await list({ pageSize: 2, pageToken: first.nextPageToken });
    expect(second.events.map(({ subject }) => subject)).toEqual(['c', 'd']);
    expect([second.nextPageToken, second.resumeToken]).toEqual(['', first.resumeToken]);
    add('e');
    const stream = watch({ resumeToken: second.resumeToken });
    clock.advance(1000);
    expect(stream.subjects).toEqual(['d', 'e']);
    expect(stream.sent.some(({ historyLost }) => historyLost)).toBe(false);
  });

  it('filters by kind, subject and time', async () => {
    const { add, list, clock } = world();
    add('a');
    add('b', FAILED);
    clock.advance(60_000);
    add('a', FAILED);
    const subjects = async (request: Partial<ListEventsRequest>) =>
      (await list(request)).events.map(({ kind, subject }) => [kind, subject]);
    expect(await subjects({ kinds: [FAILED] })).toEqual([
      [FAILED, 'b'],
      [FAILED, 'a'],
    ]);
    expect(await subjects({ subject: 'a' })).toHaveLength(2);
    expect(await subjects({ since: new Date(clock.wall() - 1000) })).toEqual([[FAILED, 'a']]);
  });

  // Causes: code events/events-api.ts INVALID_ARGUMENT
  it('refuses what makes no sense', async () => {
    const { add, list } = world();
    add('a');
    const other = world();
    for (const subject of ['x', 'y']) other.add(subject);
    const { nextPageToken } = await other.list({ pageSize: 1 });
    const kinds = Array.from({ length: MAX_KINDS + 1 }, () => UP);
    for (const request of [{ pageToken: 'x' }, { pageToken: nextPageToken }, { kinds }, { subject: 'x'.repeat(301) }]) {
      await expect(list(request)).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
    }
  });
});

describe('WatchEvents', () => {
  it('sends the requested events at once, and then new ones', () => {
    const { add, watch, clock } = world();
    add('long ago');
    clock.advance(60_000);
    add('lately');
    const [fromNow, since] = [watch(), watch({ since: new Date(clock.wall() - 1000) })];
    expect(fromNow.sent).toHaveLength(1);
    expect(since.subjects).toEqual(['lately']);
    add('now');
    add('else', FAILED);
    clock.advance(100);
    expect(fromNow.subjects).toEqual(['now', 'else']);
    expect(since.subjects).toEqual(['lately', 'now', 'else']);
  });

  it('reports that the history was lost, and how many events were lost on their way', () => {
    const { collector, watch } = world();
    collector.lost = 7;
    const stream = watch({ resumeToken: 'nobody has given this' });
    expect(stream.sent[0]).toMatchObject({ historyLost: true, lost: 7 });
  });

  it('reads the history after it was too slow, and reports if that has forgotten events', () => {
    const { add, watch, clock } = world();
    const stream = watch();
    stream.accepts = false;
    add('first');
    clock.advance(100);
    for (let n = 0; n < MAX_QUEUED_EVENTS + 10; n++) add(`${n}`, n % 2 === 0 ? UP : FAILED);
    clock.advance(100);
    stream.accepts = true;
    stream.emit('drain');
    expect(stream.subjects).toHaveLength(1 + MAX_QUEUED_EVENTS + 10);
    expect(stream.sent.some(({ historyLost }) => historyLost)).toBe(false);
    stream.accepts = false;
    add('more');
    clock.advance(100);
    for (let n = 0; n < MAX_QUEUED_EVENTS + MAX_EVENTS_PER_KIND + 10; n++) add(`again ${n}`);
    stream.accepts = true;
    stream.emit('drain');
    expect(stream.sent.filter(({ historyLost }) => historyLost)).toHaveLength(1);
    expect(stream.subjects.at(-1)).toBe(`again ${MAX_QUEUED_EVENTS + MAX_EVENTS_PER_KIND + 9}`);
  });

  // Limits: events/limits.ts MAX_EVENTS_PER_MESSAGE
  it('sends a limited number of events in a message, each with the token of its last one', () => {
    const { add, watch, clock, history } = world();
    const since = new Date(clock.wall());
    for (let n = 0; n < MAX_EVENTS_PER_MESSAGE; n++) add(`${n}`);
    expect(watch({ since }).sent.map(({ events }) => events.length)).toEqual([MAX_EVENTS_PER_MESSAGE]);
    add('one more');
    const { sent } = watch({ since });
    expect(sent.map(({ events }) => events.length)).toEqual([MAX_EVENTS_PER_MESSAGE, 1]);
    expect(sent.map(({ resumeToken }) => history.numberOf(resumeToken))).toEqual([
      MAX_EVENTS_PER_MESSAGE,
      MAX_EVENTS_PER_MESSAGE + 1,
    ]);
  });

  // Limits: events/limits.ts MAX_QUEUED_EVENTS
  it('queues a limited number for a client that does not read, then reads the history, and misses none', () => {
    for (const extra of [0, 1]) {
      const { add, watch, clock } = world();
      const stream = watch();
      stream.accepts = false;
      add('first');
      clock.advance(100);
      for (let n = 0; n < MAX_QUEUED_EVENTS + extra; n++) add(`${n}`, n % 2 === 0 ? UP : FAILED);
      clock.advance(PROGRESS_MS);
      expect(stream.sent).toHaveLength(2);
      stream.accepts = true;
      stream.emit('drain');
      expect(stream.subjects).toHaveLength(1 + MAX_QUEUED_EVENTS + extra);
      expect(new Set(stream.subjects).size).toBe(stream.subjects.length);
    }
  });

  it('gathers events for a moment, and sends only matching ones', () => {
    const { add, watch, clock } = world();
    const stream = watch({ kinds: [UP], subject: 'a' });
    add('a');
    add('a', FAILED);
    add('b');
    clock.advance(49);
    expect(stream.sent).toHaveLength(1);
    add('a');
    clock.advance(1);
    expect(stream.sent.map(({ events }) => events.length)).toEqual([0, 2]);
    add('b');
    clock.advance(1000);
    expect(stream.sent).toHaveLength(2);
  });

  it('sends nothing twice when the stream drains repeatedly', () => {
    const { add, watch, clock } = world();
    const stream = watch();
    add('a');
    clock.advance(100);
    stream.emit('drain');
    stream.emit('drain');
    expect(stream.subjects).toEqual(['a']);
    expect(stream.sent).toHaveLength(2);
    // Progress is sent ten seconds after the last message.
    clock.advance(PROGRESS_MS - 51);
    expect(stream.sent).toHaveLength(2);
    clock.advance(1);
    clock.advance(PROGRESS_MS);
    expect(stream.sent.slice(2).map(({ events, historyLost }) => [events.length, historyLost])).toEqual([
      [0, false],
      [0, false],
    ]);
  });

  it('sends progress regularly, with a token to resume from', () => {
    const { add, watch, clock, history } = world();
    const stream = watch({ kinds: [FAILED] });
    add('of another kind');
    clock.advance(PROGRESS_MS);
    expect(stream.sent).toHaveLength(2);
    expect(history.numberOf(stream.sent[1]?.resumeToken ?? '')).toBe(1);
  });

  // Causes: metric spanmesh_topology_event_watches
  it('ends when the replica stops, and when its client goes', () => {
    const { api, watch, clock } = world();
    const [gone, left] = [watch(), watch()];
    gone.emit('cancelled');
    expect(api.watches).toBe(1);
    api.endWatches();
    expect([left.ended, api.watches, clock.pending]).toEqual([true, 0, 0]);
  });

  it('of an invalid request is refused, and leaves nothing behind', () => {
    const { api, watch } = world();
    expect(watch({ subject: 'x'.repeat(301) }).error).toMatchObject({ code: status.INVALID_ARGUMENT });
    expect(api.watches).toBe(0);
  });
});
