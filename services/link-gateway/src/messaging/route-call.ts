import { status } from '@grpc/grpc-js';
import { type Dialect, rulesOf } from '@spanmesh/dmsg/dialect';
import { canonicalNodeSelector, nodeSelectorFault } from '@spanmesh/proto/cluster-key';
import { apiDialect, dialectOf } from '@spanmesh/proto/dialect';
import type { FindNodeResponse, FoundLink } from '@spanmesh/proto/v1/directory';
import type { OpenRoute, OpenRouteRequest, OpenRouteResponse, RoutedMessage } from '@spanmesh/proto/v1/messaging';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { ApiError, type FaultLog, invalid } from '@spanmesh/runtime/grpc/api-error';
import type { LocalClients } from '../routing/local-clients.ts';
import type { LocalRoute, LostReason } from '../routing/local-route.ts';
import { ClientRoute } from './client-route.ts';
import { ClientStream, type ResponseStream } from './client-stream.ts';
import type { Directory } from './directory-calls.ts';
import { ASK_AGAIN_MS, DEFAULT_ROUTE_WAIT_MS, GREETING_MS, MAX_ROUTE_WAIT_MS } from './limits.ts';
import type { MessagingMetrics } from './messaging-metrics.ts';
import type { RouteLinks } from './route-links.ts';

/** The part of an OpenRoute call's server side that RouteCall uses. */
export interface RouteCallStream extends ResponseStream {
  pause(): unknown;
  resume(): unknown;
  on(event: 'data', fn: (request: OpenRouteRequest) => void): unknown;
  on(event: 'end' | 'cancelled', fn: () => void): unknown;
}

export interface RouteCallDependencies {
  /** Returns the id of this gateway; called at each use. */
  readonly gateway: () => string;
  /** The principal of the caller. */
  readonly principal: string;
  readonly directory: Directory;
  readonly clients: Pick<LocalClients, 'openRoute'>;
  readonly links: RouteLinks;
  readonly metrics: MessagingMetrics;
  readonly clock: Clock;
  readonly faults: FaultLog;
  /** Called when the call is over, whichever side ended it. */
  readonly onEnd: (call: RouteCall) => void;
}

/**
 * The state of a call; changed in `#become` only.
 *   greeting   nothing has come yet; `timer` gives the client up
 *   waiting    `open` came: the node is looked up, the client is not read; `abort` ends that
 *   open       the route is open: messages go both ways
 *   ended      by either side, or because the route is gone; nothing is done any more
 */
type CallState =
  | { readonly kind: 'greeting'; readonly timer: Timer }
  | { readonly kind: 'waiting'; readonly abort: AbortController }
  | { readonly kind: 'open'; readonly client: ClientRoute; readonly route: LocalRoute; readonly link: FoundLink }
  | { readonly kind: 'ended' };

/** Why a route has ended, for the client. */
const LOST: Record<LostReason, string> = {
  link: 'The link that the route used is gone: open another route.',
  trunk: 'The gateway that holds the link cannot be reached any more: open another route.',
  'return-path': 'The node takes no answers over this link any more: open another route.',
};

/** One OpenRoute call. */
export class RouteCall {
  readonly #stream: RouteCallStream;
  readonly #client: ClientStream;
  readonly #deps: RouteCallDependencies;
  #state: CallState;
  #halfClosed = false;
  #paused = false;
  readonly #onLow = (): void => {
    this.#paused = false;
    this.#stream.resume();
  };

  constructor(stream: RouteCallStream, deps: RouteCallDependencies) {
    this.#stream = stream;
    this.#deps = deps;
    this.#client = new ClientStream(stream, { clock: deps.clock, onStuck: (error) => this.fail(error) });
    const timer = deps.clock.after(GREETING_MS, () =>
      this.fail(new ApiError(status.DEADLINE_EXCEEDED, `Nothing has come for ${GREETING_MS} ms: send open first.`)),
    );
    this.#state = { kind: 'greeting', timer };
    stream.on('data', (request) => this.#guard(() => this.#take(request)));
    stream.on('end', () => this.#guard(() => this.#onHalfClose()));
    stream.on('cancelled', () => this.#end(() => this.#client.abandon()));
  }

  /** Ends the call with an error; open transactions on the route are aborted. */
  fail(error: ApiError): void {
    this.#end(() => this.#client.fail(error));
  }

  #take({ open, routed }: OpenRouteRequest): void {
    const state = this.#state;
    if (state.kind === 'greeting') {
      if (open === undefined) throw invalid('The first message must be open.');
      state.timer.cancel();
      const abort = new AbortController();
      this.#become({ kind: 'waiting', abort });
      // The client is not read before the route is open.
      this.#stream.pause();
      this.#open(open, abort).catch((error: unknown) => this.#fail(error));
    } else if (routed === undefined) throw invalid('After open, send routed messages only.');
    else if (state.kind === 'open') this.#routed(state.client, state.route, routed);
  }

  #routed(client: ClientRoute, route: LocalRoute, message: RoutedMessage): void {
    client.take(message);
    const { pressure } = route;
    if (!pressure.isHigh || this.#paused) return;
    this.#paused = true;
    this.#stream.pause();
    pressure.onceLow(this.#onLow);
  }

  async #open({ node, waitMs }: OpenRoute, abort: AbortController): Promise<void> {
    const fault = nodeSelectorFault(node);
    if (fault !== null) throw invalid(fault);
    if (waitMs > MAX_ROUTE_WAIT_MS) throw invalid(`A route is waited for at most ${MAX_ROUTE_WAIT_MS} ms.`);
    const selector = canonicalNodeSelector(node);
    const { directory, clock, principal } = this.#deps;
    const wait = waitMs === 0 ? DEFAULT_ROUTE_WAIT_MS : waitMs;
    let late = false;
    const timer = clock.after(wait, () => {
      late = true;
      abort.abort();
    });
    try {
      for (;;) {
        const found = await directory.findNode(selector, { signal: abort.signal, principal });
        if (this.#state.kind !== 'waiting' || this.#tryLinks(found)) return;
        // Topology does not know yet that these links cannot be used from here.
        await pause(ASK_AGAIN_MS, { clock, signal: abort.signal });
      }
    } catch (error) {
      if (!late) throw error;
      const what = `There was no way to the node within ${wait / 1000} s`;
      throw new ApiError(
        status.DEADLINE_EXCEEDED,
        `${what}: \`spanmesh nodes\` (ListNodes) shows the nodes that there are.`,
      );
    } finally {
      timer.cancel();
    }
  }

  /** Opens a route over one of the links. False: none can be used. */
  #tryLinks({ node, links }: FindNodeResponse): boolean {
    const ranked = this.#deps.links.ranked(links);
    const key = node?.key;
    const dialect = key?.cluster === undefined ? null : dialectOf(key.cluster.dialect);
    return dialect !== null && ranked.some((link) => this.#tryLink(link, dialect, key));
  }

  #tryLink(link: FoundLink, dialect: Dialect, node: NonNullable<FindNodeResponse['node']>['key']): boolean {
    const { clients, links, metrics, gateway, principal } = this.#deps;
    const rules = rulesOf(dialect);
    const client = new ClientRoute(rules, {
      stream: this.#client,
      metrics,
      principal,
      onLost: (reason) => {
        metrics.routesLost++;
        this.fail(new ApiError(status.UNAVAILABLE, LOST[reason]));
      },
      onDone: () => this.#end(() => this.#client.end()),
    });
    const isOurs = link.gateway === gateway();
    const route = clients.openRoute(isOurs ? link.number : link, dialect, client);
    if (route === null) return false;
    client.attach(route);
    links.opened(link);
    metrics.routes++;
    metrics.routesOpened++;
    this.#become({ kind: 'open', client, route, link });
    const opened: OpenRouteResponse = {
      opened: { node, link: link.link?.id ?? '', dialect: apiDialect(dialect), auxLimit: rules.auxLimit },
    };
    this.#client.write(opened, JSON.stringify(opened).length);
    if (this.#halfClosed) client.halfClose();
    else this.#stream.resume();
    return true;
  }

  #onHalfClose(): void {
    this.#halfClosed = true;
    if (this.#state.kind === 'greeting') throw invalid('The first message must be open.');
    if (this.#state.kind === 'open') this.#state.client.halfClose();
  }

  #end(finish: () => void): void {
    const state = this.#state;
    if (state.kind === 'ended') return;
    this.#become({ kind: 'ended' });
    if (state.kind === 'greeting') state.timer.cancel();
    if (state.kind === 'waiting') state.abort.abort();
    if (state.kind === 'open') {
      state.client.close();
      this.#deps.links.closed(state.link);
      this.#deps.metrics.routes--;
    }
    finish();
    // A paused stream would not notice that the client closes its side.
    this.#stream.resume();
    this.#deps.onEnd(this);
  }

  #become(state: CallState): void {
    this.#state = state;
  }

  #guard(fn: () => void): void {
    try {
      fn();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.fail(this.#deps.faults.report(error));
  }
}

/** @throws ApiError CANCELLED: `signal` was aborted meanwhile. */
function pause(ms: number, { clock, signal }: { clock: Clock; signal: AbortSignal }): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      timer.cancel();
      reject(new ApiError(status.CANCELLED, 'Nobody waits any more.'));
    };
    const timer = clock.after(ms, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}
