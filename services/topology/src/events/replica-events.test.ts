import { credentials, Metadata } from '@grpc/grpc-js';
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
import { afterEach, expect, it } from 'vitest';
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

// Limits: events/replica-events.ts MAX_PAGES
it.each([
  [MAX_PAGES, MAX_PAGES],
  [MAX_PAGES + 1, MAX_PAGES],
])('of a history of %i pages a replica reads %i', async (pages, read) => {
  const leader = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
  cleanups.push(() => leader.stop(0));
  const asked: string[] = [];
  leader.addService(EventsService, {
    listEvents: (
      { request: { pageToken } }: { request: ListEventsRequest },
      done: (error: null, page: ListEventsResponse) => void,
    ) => {
      asked.push(pageToken);
      const page = Number(pageToken);
      const id = `${'0'.repeat(32)}.${page}`;
      const event = Event.fromPartial({ kind: EventKind.EVENT_KIND_PEER_UP, id, principal: `${page}` });
      done(
        null,
        ListEventsResponse.fromPartial({ events: [event], nextPageToken: page + 1 < pages ? `${page + 1}` : '' }),
      );
    },
  });
  const address = `127.0.0.1:${await leader.start()}`;
  const events = new ReplicaEvents({
    bus: { subscribe: () => ({ unsubscribe() {} }) },
    events: { listen() {} },
    shares: { begin: () => () => {} },
    clock: new FakeClock(),
    logger,
    random: Math.random,
    security: { credentials: credentials.createInsecure(), options: {} },
  });
  events.start();
  cleanups.push(() => events.stop());
  events.leaseChanged({ kind: 'standby', holder: { address, epoch: 1 } }, 'self');
  await expect.poll(() => events.history.all().length).toBe(read);
  expect(asked).toEqual(Array.from({ length: read }, (_, page) => (page === 0 ? '' : `${page}`)));
});
