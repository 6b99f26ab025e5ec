import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HostPort } from '../address.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { EventTeller } from '../events/event-teller.ts';
import { listenError } from '../grpc/listen-error.ts';
import { type Logger, Throttle } from '../log/logger.ts';
import type { Metrics } from '../metrics.ts';
import { ShareLog } from '../shares/share-log.ts';
import { HttpConnections } from './http-connections.ts';

/** Largest headers of a request, bytes. */
const MAX_HEADER_BYTES = 16 * 1024;
/** Longest time for a client to send its request, ms; slower ones are disconnected. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Idle time after which a kept connection is closed, ms; longer than common collectors' interval of scrapes. */
const KEEP_ALIVE_MS = 30_000;
/** Longest time in which a client takes no bytes of an answer, ms; then it is disconnected. */
const ANSWER_TIMEOUT_MS = 30_000;
/** How often connections are checked for exceeded times, ms. */
const LOOK_MS = 2000;
/** Connections at one time; health checks and scrapes need a few. Beyond it the one idle for longest is closed. */
const MAX_CONNECTIONS = 256;

/** Time within which it is logged only once that one address had to give way, ms. */
const LOG_INTERVAL_MS = 10_000;

/** Answers requests that are not this server's own; false when it does not know the path either. */
export type HttpFallback = (request: IncomingMessage, response: ServerResponse, path: string) => boolean;

/**
 * Liveness, readiness and metrics for operators. GET and HEAD only. /livez: 200 as long as the event loop runs.
 * /readyz: 200, or 503 with the reason. /metrics: for Prometheus.
 */
export class HttpServer {
  readonly #listen: HostPort;
  readonly #setting: string;
  readonly #ready: () => string | null;
  readonly #metrics: Metrics;
  readonly #logger: Logger;
  readonly #fallback: HttpFallback | undefined;
  readonly #server: Server;
  readonly #connections: HttpConnections;

  /** `setting`: the setting that a SettingError names when the port is not available. `ready`: null, or why not. */
  constructor(
    { listen, setting }: { listen: HostPort; setting: string },
    {
      ready,
      metrics,
      logger,
      fallback,
      events,
      clock = systemClock,
    }: {
      ready: () => string | null;
      metrics: Metrics;
      logger: Logger;
      fallback?: HttpFallback;
      events?: EventTeller;
      clock?: Clock;
    },
  ) {
    this.#listen = listen;
    this.#setting = setting;
    this.#ready = ready;
    this.#metrics = metrics;
    this.#logger = logger;
    this.#fallback = fallback;
    const throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock });
    const shareLog = new ShareLog({ clock, logger, throttle, ...(events && { events }) });
    this.#connections = new HttpConnections(
      { limit: MAX_CONNECTIONS },
      { limited: (limit) => shareLog.limited(limit) },
    );
    this.#server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        requestTimeout: REQUEST_TIMEOUT_MS,
        headersTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: LOOK_MS,
      },
      (request, response) => {
        this.#connections.began(request.socket);
        response.once('close', () => this.#connections.ended(request.socket));
        this.#answer(request, response);
      },
    );
    this.#server.setTimeout(ANSWER_TIMEOUT_MS);
    this.#server.on('connection', (socket) => this.#connections.add(socket));
    metrics.counter(
      'spanmesh_http_connections_displaced_total',
      'Idle connections to the HTTP port closed to make room for others.',
      () => this.#connections.displaced,
    );
  }

  /** Starts to listen; resolves with the port. Rejects with SettingError when the port is not available. */
  start(): Promise<number> {
    const { host, port } = this.#listen;
    return new Promise((resolve, reject) => {
      const onError = (error: Error): void => reject(listenError(this.#setting, this.#listen, error));
      this.#server.once('error', onError);
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', onError);
        this.#server.on('error', (error) => this.#logger.error({ err: error }, 'http server'));
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  /** Stops listening and closes every connection, also during an answer; answers are short. */
  stop(): Promise<void> {
    return new Promise((resolve) => {
      // Its only error is that the server was not listening, which is harmless.
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    response.setHeader('Cache-Control', 'no-store');
    response.setHeader('X-Content-Type-Options', 'nosniff');
    const [path = '/'] = (request.url ?? '/').split('?', 1);
    switch (path) {
      case '/livez':
      case '/readyz':
      case '/metrics':
        break;
      default:
        this.#answerOther(request, response, path);
        return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      this.#text(response, 405, 'method not allowed');
      return;
    }
    if (path === '/livez') {
      this.#text(response, 200, 'ok');
    } else if (path === '/readyz') {
      const reason = this.#ready();
      this.#text(response, reason === null ? 200 : 503, reason ?? 'ok');
    } else {
      this.#answerMetrics(response);
    }
  }

  #answerOther(request: IncomingMessage, response: ServerResponse, path: string): void {
    try {
      if (this.#fallback?.(request, response, path) === true) {
        return;
      }
    } catch (error) {
      this.#logger.error({ err: error }, 'http request failed');
      if (response.headersSent) {
        response.destroy();
      } else {
        this.#text(response, 500, 'internal error');
      }
      return;
    }
    this.#text(response, 404, 'not found');
  }

  #answerMetrics(response: ServerResponse): void {
    this.#metrics.text().then(
      (text) => {
        response.writeHead(200, { 'Content-Type': this.#metrics.contentType }).end(text);
      },
      (error: unknown) => {
        this.#logger.error({ err: error }, 'metrics cannot be read');
        this.#text(response, 500, 'metrics cannot be read');
      },
    );
  }

  #text(response: ServerResponse, status: number, body: string): void {
    response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${body}\n`);
  }
}
