import type { ClientReadableStream } from '@grpc/grpc-js';
import {
  type Event,
  EventsClient,
  type ListEventsRequest,
  type WatchEventsRequest,
  type WatchEventsResponse,
} from '@spanmesh/proto/v1/events';
import type { CallContext } from './call-failure.ts';
import { callUnary } from './channel.ts';
import { type ApiTarget, openClient } from './open-client.ts';
import { pagesOf } from './pages.ts';

const SERVICE = 'spanmesh.v1.Events';

/** The filters of a list of events. */
export type EventQuery = Pick<ListEventsRequest, 'kinds' | 'since' | 'subject'>;

/** All pages of a list of events. */
export interface EventListing {
  readonly events: Event[];
  /** A watch that resumes from this token misses nothing. */
  readonly resumeToken: string;
  readonly lost: number;
}

/** The Events service as the commands use it. */
export class EventsApi {
  /** The circumstances of a call, for `failureOf`. */
  readonly context: CallContext;
  readonly #client: EventsClient;

  /** @throws Failure usage */
  constructor({ timeoutMs, ...target }: ApiTarget & { readonly timeoutMs: number }) {
    this.context = { address: target.address, timeoutMs, service: SERVICE };
    this.#client = openClient(EventsClient, target);
  }

  close(): void {
    this.#client.close();
  }

  async events(query: EventQuery): Promise<EventListing> {
    const events: Event[] = [];
    let resumeToken = '';
    let lost = 0;
    const list = this.#client.listEvents.bind(this.#client);
    for await (const page of pagesOf((request) => callUnary(list, { ...query, ...request }, this.context))) {
      for (const event of page.events) events.push(event);
      ({ resumeToken, lost } = page);
    }
    return { events, resumeToken, lost };
  }

  /** Watches events. Errors of the stream are ServiceErrors, which `failureOf` explains. */
  watch(request: WatchEventsRequest): ClientReadableStream<WatchEventsResponse> {
    return this.#client.watchEvents(request);
  }
}
