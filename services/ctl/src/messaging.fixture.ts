import type { ServerDuplexStream, ServiceError, status } from '@grpc/grpc-js';
import {
  MessagingService,
  type OpenRoute,
  type OpenRouteRequest,
  type OpenRouteResponse,
  RoutedMessage,
} from '@spanmesh/proto/v1/messaging';
import { Dialect } from '@spanmesh/proto/v1/types';
import { FakeServer } from './grpc-server.fixture.ts';

/** The node's end of a route. */
export class FakeRoute {
  readonly #call: ServerDuplexStream<OpenRouteRequest, OpenRouteResponse>;

  constructor(call: ServerDuplexStream<OpenRouteRequest, OpenRouteResponse>) {
    this.#call = call;
  }

  say(parts: Partial<RoutedMessage>): void {
    this.#call.write({ routed: RoutedMessage.fromPartial(parts) });
  }

  /** The stream ends with an error. */
  fail(code: status, details: string): void {
    this.#call.emit('error', { code, details } satisfies Partial<ServiceError>);
  }

  end(): void {
    this.#call.end();
  }
}

/** A Messaging service with one node whose behaviour a test sets. */
export class FakeMessaging {
  readonly server: FakeServer;
  dialect: Dialect = Dialect.DIALECT_CIRCUIT;
  auxLimit = 1024 * 1024;
  /** The requests to open a route. */
  readonly opens: OpenRoute[] = [];
  /** The messages that the client has sent, on all routes. */
  readonly heard: RoutedMessage[] = [];
  /** Refuses the route, if set. */
  refusal: { readonly code: status; readonly details: string } | null = null;
  onMessage: (message: RoutedMessage, route: FakeRoute) => void = () => {};
  /** Called when the client has ended its side of the route. */
  onEnd: (route: FakeRoute) => void = (route) => route.end();

  constructor() {
    this.server = new FakeServer(MessagingService, {
      openRoute: (call: ServerDuplexStream<OpenRouteRequest, OpenRouteResponse>) => this.#serve(call),
    });
  }

  #serve(call: ServerDuplexStream<OpenRouteRequest, OpenRouteResponse>): void {
    const route = new FakeRoute(call);
    call.on('error', () => {});
    call.on('end', () => this.onEnd(route));
    call.on('data', ({ open, routed }: OpenRouteRequest) => {
      if (open !== undefined) {
        this.opens.push(open);
        if (this.refusal !== null) route.fail(this.refusal.code, this.refusal.details);
        else
          call.write({ opened: { node: undefined, link: 'gw.1:41', dialect: this.dialect, auxLimit: this.auxLimit } });
      }
      if (routed === undefined) return;
      this.heard.push(routed);
      this.onMessage(routed, route);
    });
  }
}
