import type { ServerUnaryCall, ServerWritableStream, sendUnaryData } from '@grpc/grpc-js';
import type {
  EventsServer,
  ListEventsRequest,
  ListEventsResponse,
  WatchEventsRequest,
  WatchEventsResponse,
} from '@spanmesh/proto/v1/events';
import { apiPrincipal } from '@spanmesh/runtime/access/api-principal';
import type { Clock } from '@spanmesh/runtime/clock';
import type { EventCollector } from '@spanmesh/runtime/events/event-collector';
import type { EventHistory } from '@spanmesh/runtime/events/event-history';
import { FaultLog, invalid } from '@spanmesh/runtime/grpc/api-error';
import { pageOf } from '@spanmesh/runtime/grpc/paging';
import type { Logger } from '@spanmesh/runtime/log/logger';
import type { ApiShares } from '../api-shares.ts';
import { eventFilter } from './event-filter.ts';
import { EventWatch } from './event-watch.ts';

/** Estimated bytes of an encoded event, without its texts. */
const EVENT_BYTES = 600;

export interface EventsApiDependencies {
  readonly history: EventHistory;
  readonly collector: Pick<EventCollector, 'lost'>;
  readonly shares: Pick<ApiShares, 'begin'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The Events service of events.proto. Every replica answers from its own history. */
export class EventsApi {
  readonly #deps: EventsApiDependencies;
  readonly #faults: FaultLog;
  readonly #watches = new Set<EventWatch>();

  constructor(deps: EventsApiDependencies) {
    this.#deps = deps;
    this.#faults = new FaultLog({ service: 'events' }, deps);
  }

  /** The handlers for a gRPC server. */
  readonly implementation: EventsServer = {
    listEvents: (
      call: ServerUnaryCall<ListEventsRequest, ListEventsResponse>,
      callback: sendUnaryData<ListEventsResponse>,
    ) => {
      try {
        callback(null, this.#list(call.request));
      } catch (error) {
        callback(this.#faults.report(error));
      }
    },
    watchEvents: (call: ServerWritableStream<WatchEventsRequest, WatchEventsResponse>) => {
      try {
        this.#watch(call);
      } catch (error) {
        call.emit('error', this.#faults.report(error));
      }
    },
  };

  get watches(): number {
    return this.#watches.size;
  }

  /** Ends all watches: the replica stops. */
  endWatches(): void {
    for (const watch of [...this.#watches]) watch.end();
  }

  #list(request: ListEventsRequest): ListEventsResponse {
    const { history, collector } = this.#deps;
    const isMeant = eventFilter(request);
    let resumeToken = history.token;
    const page = pageOf(
      (after) => {
        const [number = 0, first = resumeToken] = after ?? [];
        if (typeof number !== 'number' || typeof first !== 'string' || history.numberOf(first) === null) {
          throw invalid('page_token is not one that a list of this replica gave: list again from the beginning.');
        }
        // A watch resumes after the first page: events that arrive while the other pages are read are sent again.
        resumeToken = first;
        return history.after(number).map((event) => ({
          item: isMeant(event) ? event : null,
          key: () => [event.number, first],
        }));
      },
      request,
      () => EVENT_BYTES,
    );
    return { events: page.items, nextPageToken: page.nextPageToken, resumeToken, lost: collector.lost };
  }

  #watch(call: ServerWritableStream<WatchEventsRequest, WatchEventsResponse>): void {
    const { history, collector, shares, clock } = this.#deps;
    const close = shares.begin('watches', apiPrincipal(call), (error) => {
      watch?.abandon();
      call.emit('error', error);
    });
    let watch: EventWatch | undefined;
    try {
      watch = new EventWatch(call.request, {
        stream: call,
        history,
        lost: () => collector.lost,
        clock,
        onEnd: () => {
          if (watch !== undefined) this.#watches.delete(watch);
          close();
        },
      });
    } catch (error) {
      close();
      throw error;
    }
    this.#watches.add(watch);
  }
}
