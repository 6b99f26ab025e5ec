import { type ServerWritableStream, status } from '@grpc/grpc-js';
import {
  Event,
  EventKind,
  type EventsServer,
  EventsService,
  type ListEventsRequest,
  type WatchEventsRequest,
  WatchEventsResponse,
} from '@spanmesh/proto/v1/events';
import { Dialect } from '@spanmesh/proto/v1/types';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeServer } from '../grpc-server.fixture.ts';
import { main } from '../main.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';
import { showEvents } from './show-events.ts';

type WatchCall = ServerWritableStream<WatchEventsRequest, WatchEventsResponse>;

const TIME = new Date('2026-01-31T12:00:00.000Z');
const EVENTS: readonly Event[] = [
  {
    kind: EventKind.EVENT_KIND_PEER_DOWN,
    subject: 'gw.1:1',
    peer: {
      connection: 'gw.1:1',
      address: '192.0.2.1:987',
      dialect: Dialect.DIALECT_CIRCUIT,
      reason: 'drained \x1b[2J',
    },
  },
  {
    kind: EventKind.EVENT_KIND_TARGET_FAILED,
    subject: 'lab',
    count: 17,
    target: { address: '192.0.2.9:987', error: 'unreachable' },
  },
  {
    kind: EventKind.EVENT_KIND_OPERATOR_ACT,
    subject: 'gw',
    operator: { who: 'anna', from: '192.0.2.7', method: 'Topology/DrainGateway', what: '50 %', byConsole: true },
  },
  { kind: EventKind.EVENT_KIND_LEADER_CHANGED, subject: 'topology at a:1', member: { address: 'a:1', epoch: 7 } },
  { kind: EventKind.EVENT_KIND_LIMIT_HIT, subject: 'x', limit: { limit: 'links', held: 10, value: 10, ofAll: false } },
  { kind: EventKind.EVENT_KIND_DRAIN, subject: 'gw.1', drain: { order: '7-1', done: true, closed: 3, cut: 1 } },
  { kind: EventKind.EVENT_KIND_KEYS_BAD, subject: 'a.pub', files: { files: ['a.pub'], inUse: 2, error: 'no key' } },
  { kind: 63 as EventKind, subject: 'of a later version' },
].map((one, n) => Event.fromPartial({ count: 1, id: `${n}`, time: TIME, firstTime: TIME, ...one }));

class FakeEvents {
  readonly listed: ListEventsRequest[] = [];
  readonly watched: WatchEventsRequest[] = [];
  readonly watches: ((call: WatchCall) => void)[] = [];
  readonly server: FakeServer;

  constructor() {
    const implementation: EventsServer = {
      listEvents: ({ request }, callback) => {
        this.listed.push(request);
        callback(null, { events: [...EVENTS], nextPageToken: '', resumeToken: 'r', lost: 3 });
      },
      watchEvents: (call: WatchCall) => {
        this.watched.push(call.request);
        const watch = this.watches.shift();
        if (watch === undefined) call.emit('error', { code: status.UNAVAILABLE, details: 'no more' });
        else watch(call);
      },
    };
    this.server = new FakeServer(EventsService, implementation);
  }
}

let events: FakeEvents;
let terminal: RecordingTerminal;
beforeEach(async () => {
  events = new FakeEvents();
  await events.server.start();
  terminal = new RecordingTerminal();
});
afterEach(() => events.server.stop());

const run = (...args: string[]) => main(['events', ...args, '--address', events.server.address], terminal);
const message = (...some: Event[]) =>
  WatchEventsResponse.fromPartial({ events: some, resumeToken: some.at(-1)?.id ?? '' });

describe('spanmesh events', () => {
  it('prints a line for each, with times, and no control characters', async () => {
    expect(await run()).toBe(0);
    const at = '2026-01-31 12:00:00Z';
    expect(terminal.printed.split('\n')).toEqual([
      `${at} peer-down             gw.1:1 192.0.2.1:987 circuit - drained \\x1b[2J`,
      `${at} target-failed         lab 192.0.2.9:987 - unreachable (17 times since 2026-01-31T12:00:00.000Z)`,
      `${at} operator-act          gw Topology/DrainGateway 50 % by anna from 192.0.2.7 at the console`,
      `${at} leader-changed        topology at a:1 epoch 7`,
      `${at} limit-hit             x links: had 10, its share is 10`,
      `${at} drain                 gw.1 order 7-1 done: 3 closed, 1 cut off`,
      `${at} keys-bad              a.pub 2 peers - no key`,
      `${at} kind-63               of a later version`,
      '',
    ]);
    expect(terminal.noted).toBe('spanmesh: 3 more were lost on their way to this replica\n');
  });

  it('prints a given number of events, the last ones', async () => {
    expect(await run('--limit', '2')).toBe(0);
    expect(terminal.printed.split('\n').map((line) => line.split(' ')[2])).toEqual(['keys-bad', 'kind-63', undefined]);
    expect(await run('--limit', '2', '--follow')).toBe(2);
  });

  it('asks for events by kind, time and subject', async () => {
    expect(await run('--kind', 'peer-up, peer-down', '--since', '10m', '--subject', 'x')).toBe(0);
    const [asked] = events.listed;
    expect(asked).toMatchObject({ kinds: [1, 2], subject: 'x' });
    const ago = Date.now() - (asked?.since?.getTime() ?? 0);
    expect(ago).toBeGreaterThanOrEqual(600_000);
    expect(await run('--kind', 'nonsense')).toBe(2);
    expect(terminal.noted).toMatch(/there is no kind nonsense: peer-up, peer-down, /);
  });

  it('prints JSON, a document a line', async () => {
    expect(await run('-o', 'json')).toBe(0);
    const documents = terminal.printed
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(documents).toHaveLength(EVENTS.length);
    expect(documents[0]).toMatchObject({ kind: 'EVENT_KIND_PEER_DOWN', subject: 'gw.1:1', time: TIME.toISOString() });
  });

  it('follows events over a broken stream, from the last token, and prints each once', async () => {
    const [one, two, three] = EVENTS as [Event, Event, Event];
    events.watches.push(
      (call) => {
        call.write(message(one, two));
        call.end();
      },
      (call) => call.write(WatchEventsResponse.fromPartial({ ...message(two, three), historyLost: true })),
    );
    const end = new AbortController();
    const options = { address: events.server.address, timeoutMs: 5000, output: 'text' as const };
    const done = showEvents({ kinds: [], subject: '', limit: 0, follow: true, signal: end.signal, options }, terminal);
    await terminal.until(() => terminal.printed.includes('operator-act'));
    end.abort();
    await done;
    expect(
      terminal.printed
        .trimEnd()
        .split('\n')
        .map((line) => line.split(' ')[2]),
    ).toEqual(['peer-down', 'target-failed', 'operator-act']);
    expect(events.watched.map(({ resumeToken }) => resumeToken)).toEqual(['', two.id]);
    expect(terminal.noted).toMatch(/trying again\n.*following again\n.*some events are not there any more\n$/);
  });

  it('fails when the first attempt to follow fails, and ends after the time given', async () => {
    expect(await run('--follow')).toBe(1);
    events.watches.push((call) => call.write(message()));
    expect(await run('--follow', '--duration', '1s')).toBe(0);
  });
});
