import { Metadata } from '@grpc/grpc-js';
import { type EventReportsServer, EventReportsService } from '@spanmesh/proto/v1/event_report';
import { EventsClient, EventsService, type ListEventsResponse } from '@spanmesh/proto/v1/events';
import type { Bus, Subscription } from '@spanmesh/runtime/bus/bus';
import { EVENT_REPORTS } from '@spanmesh/runtime/bus/bus-names';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { EventCollector } from '@spanmesh/runtime/events/event-collector';
import { EventHistory } from '@spanmesh/runtime/events/event-history';
import type { EventLog } from '@spanmesh/runtime/events/event-log';
import { believed, decodeReport } from '@spanmesh/runtime/events/event-report';
import { createClient } from '@spanmesh/runtime/grpc/grpc-client';
import type { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import type { LeaseState } from '@spanmesh/runtime/lease/lease';
import type { Logger } from '@spanmesh/runtime/log/logger';
import type { Random } from '@spanmesh/runtime/random';
import type { ChannelSecurity } from '@spanmesh/runtime/tls/tls-credentials';
import type { ApiShares } from '../api-shares.ts';
import { EventsApi } from './events-api.ts';

/** How long a replica that begins tries to read the leader's history, ms. After that it begins with an empty one. */
export const JOIN_MS = 10_000;
/** How long one answer is waited for, and the pause before the next attempt, ms. */
const ANSWER_MS = 2000;
const PAGE_SIZE = 5000;
/**
 * Pages of a history that are read: a history of 64 kinds of events has 40 pages. The reading ends there even if a
 * leader offers ever more.
 */
export const MAX_PAGES = 100;

export interface ReplicaEventsDependencies {
  readonly bus: Pick<Bus, 'subscribe'>;
  /** Events of this process. */
  readonly events: Pick<EventLog, 'listen'>;
  readonly shares: Pick<ApiShares, 'begin'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Random;
  /** How channels to other replicas are secured. */
  readonly security: ChannelSecurity;
}

/**
 * The history of events at one replica: first the history that the leader had when this replica began, then all that
 * processes report over the bus. All replicas have the same history, apart from reports lost on the way, so a fail-over
 * loses nothing of it.
 */
export class ReplicaEvents {
  readonly history: EventHistory;
  readonly collector: EventCollector;
  readonly api: EventsApi;
  readonly #deps: ReplicaEventsDependencies;
  #subscription: Subscription | null = null;
  /** Address of the leader; null: not known. */
  #leader: string | null = null;
  #isJoined = false;
  #isReading = false;
  #deadline: Timer | null = null;
  #retry: Timer | null = null;

  constructor(deps: ReplicaEventsDependencies) {
    this.#deps = deps;
    const { clock, random, events } = deps;
    this.history = new EventHistory({ clock, random });
    this.collector = new EventCollector({ history: this.history });
    this.api = new EventsApi({ ...deps, history: this.history, collector: this.collector });
    events.listen((event) => this.collector.take(event));
  }

  /**
   * Serves the API to users and to other replicas, and accepts reports of gateways without NATS. Call it before the
   * servers start.
   */
  addTo({
    api,
    service,
  }: {
    readonly api: Pick<GrpcServer, 'addService'>;
    readonly service: Pick<GrpcServer, 'addService'>;
  }): void {
    for (const server of [api, service]) server.addService(EventsService, this.api.implementation);
    const reports: EventReportsServer = {
      reportEvents: ({ request }, callback) => {
        for (const event of believed(request.events)) this.collector.take(event);
        callback(null, {});
      },
    };
    service.addService(EventReportsService, reports);
  }

  start(): void {
    const { bus, clock } = this.#deps;
    this.#subscription = bus.subscribe(EVENT_REPORTS, (_, data) => {
      for (const event of decodeReport(data)) this.collector.take(event);
    });
    this.#deadline = clock.after(JOIN_MS, () => this.#join([]));
  }

  stop(): void {
    this.#subscription?.unsubscribe();
    this.#deadline?.cancel();
    this.#retry?.cancel();
    this.#isJoined = true;
    this.api.endWatches();
  }

  /** Call with every change of the lease. `self`: this replica's address. */
  leaseChanged(state: LeaseState, self: string): void {
    if (state.kind === 'leading') {
      // There has been no leader for a while: there is nobody to ask for a history.
      this.#join([]);
      return;
    }
    const address = state.kind === 'standby' ? (state.holder?.address ?? '') : '';
    this.#leader = address === '' || address === self ? null : address;
    this.#read();
  }

  #read(): void {
    const leader = this.#leader;
    if (leader === null || this.#isReading || this.#isJoined) return;
    this.#isReading = true;
    this.#historyOf(leader)
      .then(
        (events) => this.#join(events),
        (err: unknown) => {
          const { logger, clock } = this.#deps;
          logger.debug({ err, leader }, 'the history of events of the leader cannot be read yet');
          this.#retry = clock.after(ANSWER_MS, () => this.#read());
        },
      )
      .finally(() => {
        this.#isReading = false;
      });
  }

  async #historyOf(leader: string) {
    const client = createClient(EventsClient, leader, { security: this.#deps.security });
    try {
      const events: ListEventsResponse['events'] = [];
      let pageToken = '';
      for (let pages = 0; pages < MAX_PAGES; pages++) {
        const page = await listPage(client, pageToken);
        for (const event of page.events) events.push(event);
        pageToken = page.nextPageToken;
        if (pageToken === '') break;
      }
      return events;
    } finally {
      client.close();
    }
  }

  #join(before: ListEventsResponse['events']): void {
    if (this.#isJoined) return;
    this.#isJoined = true;
    this.#deadline?.cancel();
    this.#retry?.cancel();
    this.collector.begin(before);
  }
}

function listPage(client: EventsClient, pageToken: string): Promise<ListEventsResponse> {
  return new Promise((resolve, reject) => {
    const request = { pageSize: PAGE_SIZE, pageToken, kinds: [], since: undefined, subject: '' };
    client.listEvents(request, new Metadata(), { deadline: Date.now() + ANSWER_MS }, (error, page) => {
      if (error === null) resolve(page);
      else reject(error);
    });
  });
}
