import { credentials, Metadata } from '@grpc/grpc-js';
import { type EventReportsServer, EventReportsService } from '@spanmesh/proto/v1/event_report';
import {
  Event,
  EventKind,
  EventsClient,
  EventsService,
  ListEventsRequest,
  ListEventsResponse,
} from '@spanmesh/proto/v1/events';
import { InProcessBus } from '@spanmesh/runtime/bus/in-process/in-process-bus';
import { systemClock } from '@spanmesh/runtime/clock';
import { EventLog } from '@spanmesh/runtime/events/event-log';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { Metrics } from '@spanmesh/runtime/metrics';
import { readSettings } from '@spanmesh/runtime/settings/setting';
import { afterEach, expect, it, vi } from 'vitest';
import { settings } from '../settings.ts';
import { createTopology } from '../topology.ts';
import { ReplicaEvents } from './replica-events.ts';

// Written once more: a change of them must be noticed.
const MAX_PAGES = 100;

const logger = createLogger({ level: 'silent', service: 'test' });
/** Far above anything real. */
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function replica(bus: InProcessBus) {
  const grpcServer = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
  const apiServer = new GrpcServer({ listen: null, setting: 'TEST' }, { logger });
  let address = '';
  const topology = createTopology(
    {
      settings: readSettings(settings, { env: { SPANMESH_LEASE_TTL: '400ms' }, flags: {} }),
      address: () => address,
      version: '1.0.0',
    },
    {
      bus,
      clock: systemClock,
      logger,
      metrics: new Metrics(),
      apiServer,
      serviceServer: grpcServer,
      random: Math.random,
    },
  );
  address = `127.0.0.1:${await grpcServer.start()}`;
  cleanups.push(() => grpcServer.stop(0));
  await topology.start();
  cleanups.push(() => topology.stop());
  const client = new EventsClient(address, credentials.createInsecure());
  cleanups.push(() => client.close());
  const list = () =>
    new Promise<ListEventsResponse>((resolve, reject) => {
      const request = ListEventsRequest.fromPartial({ kinds: [EventKind.EVENT_KIND_PEER_UP] });
      client.listEvents(request, new Metadata(), (error, answer) => (error === null ? resolve(answer) : reject(error)));
    });
  /** Waits until the replica lists exactly these events. */
  const has = async (...subjects: string[]) => {
    await expect.poll(async () => (await list()).events.map(({ subject }) => subject)).toEqual(subjects);
    return (await list()).events;
  };
  return { topology, address, list, has };
}

it('every replica has the history, also one that begins later, and it outlives the leader', {
  timeout: 60_000,
}, async () => {
  const bus = new InProcessBus({
    onError: (error) => {
      throw error;
    },
  });
  cleanups.push(() => bus.close());
  const gateway = new EventLog({ reporter: () => 'gw.1' }, { bus, clock: systemClock, logger, random: Math.random });
  const up = (subject: string) => gateway.tell({ kind: EventKind.EVENT_KIND_PEER_UP, subject, principal: subject });
  const first = await replica(bus);
  await expect.poll(() => first.topology.core.leadership.valid).toBe(true);
  up('one');
  await first.has('one');
  const second = await replica(bus);
  await second.has('one');
  up('two');
  await first.has('one', 'two');
  const events = await second.has('one', 'two');
  expect(events[0]).toMatchObject({ reporter: 'gw.1', count: 1 });
  await first.topology.stop();
  await expect.poll(() => second.topology.core.leadership.valid).toBe(true);
  up('three');
  await second.has('one', 'two', 'three');
  expect((await second.list()).lost).toBe(0);
  gateway.stop();
});

/**
 * A leader with a history of so many pages, each with one event, which fails to answer the first `failing` calls.
 * `asked`: the tokens of the pages that were asked for.
 */
async function leaderOf(pages: number, { failing = 0 } = {}) {
  const asked: string[] = [];
  const leader = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
  cleanups.push(() => leader.stop(0));
  leader.addService(EventsService, {
    listEvents: (
      { request: { pageToken } }: { request: ListEventsRequest },
      done: (error: Error | null, page?: ListEventsResponse) => void,
    ) => {
      asked.push(pageToken);
      if (asked.length <= failing) {
        done(new Error('not now'));
        return;
      }
      const page = Number(pageToken);
      const id = `${'0'.repeat(32)}.${page}`;
      const event = Event.fromPartial({ kind: EventKind.EVENT_KIND_PEER_UP, id, principal: `${page}` });
      done(
        null,
        ListEventsResponse.fromPartial({ events: [event], nextPageToken: page + 1 < pages ? `${page + 1}` : '' }),
      );
    },
  });
  return { address: `127.0.0.1:${await leader.start()}`, asked };
}

/** The history of a replica, on a bus over which nothing comes. */
function replicaEvents() {
  const clock = new FakeClock();
  const unsubscribe = vi.fn();
  /** What is told of the replica's own process. */
  const own: ((event: Event) => void)[] = [];
  const events = new ReplicaEvents({
    bus: { subscribe: () => ({ unsubscribe }) },
    events: { listen: (listener) => void own.push(listener) },
    shares: { begin: () => () => {} },
    clock,
    logger,
    random: Math.random,
    security: { credentials: credentials.createInsecure(), options: {} },
  });
  events.start();
  cleanups.push(() => events.stop());
  return { events, clock, unsubscribe, own };
}

// Limits: events/replica-events.ts MAX_PAGES
it.each([
  [MAX_PAGES, MAX_PAGES],
  [MAX_PAGES + 1, MAX_PAGES],
])('of a history of %i pages a replica reads %i', async (pages, read) => {
  const { address, asked } = await leaderOf(pages);
  const { events } = replicaEvents();
  events.leaseChanged({ kind: 'standby', holder: { address, epoch: 1 } }, 'self');
  await expect.poll(() => events.history.all().length).toBe(read);
  expect(asked).toEqual(Array.from({ length: read }, (_, page) => (page === 0 ? '' : `${page}`)));
});

it('a replica reads no history of itself, nor of a leader without an address', async () => {
  const own = await leaderOf(3);
  const leader = await leaderOf(1);
  const { events } = replicaEvents();
  for (const address of [own.address, '', leader.address]) {
    events.leaseChanged({ kind: 'standby', holder: { address, epoch: 1 } }, own.address);
  }
  await expect.poll(() => events.history.all().length).toBe(1);
  expect([own.asked, leader.asked]).toEqual([[], ['']]);
});

it('a replica asks a leader that fails again, each time 2 s later, until it has a history', async () => {
  const { address, asked } = await leaderOf(1, { failing: 2 });
  const { events, clock } = replicaEvents();
  events.leaseChanged({ kind: 'standby', holder: { address, epoch: 1 } }, 'self');
  for (const failed of [1, 2]) {
    await expect.poll(() => clock.pending).toBe(2);
    clock.advance(1999);
    expect(asked).toHaveLength(failed);
    clock.advance(1);
  }
  await expect.poll(() => events.history.all().length).toBe(1);
  expect([asked.length, clock.pending]).toEqual([3, 0]);
});

it.each(['stops', 'leads'])('a replica that %s before it has a history leaves no timer behind', async (what) => {
  const { address } = await leaderOf(1, { failing: 1 });
  const { events, clock, unsubscribe } = replicaEvents();
  expect(clock.pending).toBe(1);
  events.leaseChanged({ kind: 'standby', holder: { address, epoch: 1 } }, 'self');
  await expect.poll(() => clock.pending).toBe(2);
  if (what === 'stops') events.stop();
  else events.leaseChanged({ kind: 'leading', epoch: 1 }, 'self');
  expect([clock.pending, unsubscribe.mock.calls.length]).toEqual([0, what === 'stops' ? 1 : 0]);
});

it('a replica that has stopped begins no history any more', () => {
  const { events } = replicaEvents();
  const begin = vi.spyOn(events.collector, 'begin');
  events.stop();
  events.leaseChanged({ kind: 'leading', epoch: 1 }, 'self');
  expect(begin).not.toHaveBeenCalled();
});

it('a gateway without NATS reports its events by a call', () => {
  const { events } = replicaEvents();
  events.leaseChanged({ kind: 'leading', epoch: 1 }, 'self');
  const addService = vi.fn();
  events.addTo({ api: { addService: vi.fn() }, service: { addService } });
  const calls = addService.mock.calls.find(([service]) => service === EventReportsService)?.[1] as EventReportsServer;
  const { reportEvents } = calls;
  const at = new Date(1_600_000_000_000);
  const event = { kind: EventKind.EVENT_KIND_PEER_UP, id: `${'0'.repeat(32)}.1`, subject: 'one' };
  const request = { events: [Event.fromPartial({ ...event, time: at, firstTime: at, count: 1 })] };
  const answered = vi.fn();
  reportEvents({ request } as never, answered);
  expect(answered.mock.calls).toEqual([[null, {}]]);
  expect(events.history.all().map(({ subject }) => subject)).toEqual(['one']);
});

it('what a replica tells of itself is in its history, with or without NATS', () => {
  const { events, own } = replicaEvents();
  events.leaseChanged({ kind: 'leading', epoch: 1 }, 'self');
  const at = new Date(1_600_000_000_000);
  const event = { kind: EventKind.EVENT_KIND_PEER_UP, id: `${'0'.repeat(32)}.1`, subject: 'one' };
  for (const listener of own) listener(Event.fromPartial({ ...event, time: at, firstTime: at, count: 1 }));
  expect(events.history.all().map(({ subject }) => subject)).toEqual(['one']);
});
