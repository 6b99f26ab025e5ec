import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type ServerWritableStream,
  status,
} from '@grpc/grpc-js';
import { parsePeerTarget } from '@spanmesh/dmsg/peer-target';
import { dialectOf } from '@spanmesh/proto/dialect';
import type {
  DialRequest,
  DialResponse,
  HangupRequest,
  HangupResponse,
  WatchMediaRequest,
  WatchMediaResponse,
} from '@spanmesh/proto/v1/dial';
import type { Clock } from '@spanmesh/runtime/clock';
import { MAX_EPOCH } from '@spanmesh/runtime/lease/epoch';
import type { Logger } from '@spanmesh/runtime/log/logger';
import { isFailed, LinkGatewayError } from '../gateway-error.ts';
import { MAX_MEDIA_WATCHES } from '../limits.ts';
import type { OpenTables } from '../peers/open-tables.ts';
import { askerOf } from './asker.ts';
import type { Order } from './dialled-connection.ts';
import type { MediaEvents } from './media-events.ts';
import { MediaWatch } from './media-watch.ts';
import type { Orders } from './orders.ts';

/** Longest owner and label, in characters (dial.proto). */
const MAX_OWNER_CHARS = 256;
/** Longest time that an order may give an attempt, ms: a longer one is a mistake. */
const MAX_TIMEOUT_MS = 600_000;

/** How a call fails: a gRPC status and its metadata (dial.proto). */
interface Refusal {
  readonly code: status;
  readonly details: string;
  readonly metadata?: Metadata;
}

/** A call of WatchMedia that is open. */
interface Watching {
  readonly call: ServerWritableStream<WatchMediaRequest, WatchMediaResponse>;
  readonly watch: MediaWatch;
}

export interface DialServerOptions {
  /** The gateway's id; asked for at each use. */
  readonly gateway: () => string;
  /** The boot id that the process began with. */
  readonly firstBoot: string;
  /** Time to connect, ms, of orders that name none. */
  readonly connectTimeout: number;
}

export interface DialServerDependencies {
  readonly orders: Orders;
  readonly events: MediaEvents;
  readonly tables: OpenTables;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The service Dial of dial.proto: for volconf, on the service port. */
export class DialServer {
  readonly #options: DialServerOptions;
  readonly #deps: DialServerDependencies;
  readonly #watches = new Set<Watching>();

  constructor(options: DialServerOptions, deps: DialServerDependencies) {
    this.#options = options;
    this.#deps = deps;
    deps.orders.onEpoch = () =>
      this.#endWatches({ code: status.FAILED_PRECONDITION, details: 'another leader has come' });
  }

  /** Watches of media that are open. */
  get watches(): number {
    return this.#watches.size;
  }

  /** What a gRPC server needs. */
  readonly implementation: {
    readonly dial: handleUnaryCall<DialRequest, DialResponse>;
    readonly hangup: handleUnaryCall<HangupRequest, HangupResponse>;
    readonly watchMedia: handleServerStreamingCall<WatchMediaRequest, WatchMediaResponse>;
  } = {
    dial: (call, callback) => {
      this.#dial(call.request).then(
        (response) => callback(null, response),
        (error: unknown) => callback(this.#refusal(error)),
      );
    },
    hangup: (call, callback) => {
      this.#hangup(call.request).then(
        (closed) => callback(null, { closed }),
        (error: unknown) => callback(this.#refusal(error)),
      );
    },
    watchMedia: (call) => {
      try {
        this.#watch(call);
      } catch (error) {
        call.emit('error', this.#refusal(error));
      }
    },
  };

  /** Ends all watches. */
  stop(): void {
    this.#endWatches({ code: status.UNAVAILABLE, details: 'the gateway is stopping' });
  }

  async #dial(request: DialRequest): Promise<DialResponse> {
    const { connection } = await this.#deps.orders.dial(orderOf(request, this.#options.connectTimeout));
    return { connection: connection.id, remoteAddress: connection.remote };
  }

  async #hangup({ owner, epoch, generation, reason }: HangupRequest): Promise<boolean> {
    checkOwner(owner, epoch);
    const closed = await this.#deps.orders.hangup({ owner, epoch, generation });
    if (closed) this.#deps.logger.debug({ owner, reason: reason.slice(0, MAX_OWNER_CHARS) }, 'hung up');
    return closed;
  }

  #watch(call: ServerWritableStream<WatchMediaRequest, WatchMediaResponse>): void {
    const { orders, events, tables, clock } = this.#deps;
    const { gateway, firstBoot } = this.#options;
    checkOwner('watch', call.request.epoch);
    orders.checkEpoch(call.request.epoch);
    if (this.#watches.size >= MAX_MEDIA_WATCHES) {
      // The oldest watch is most likely one whose end has not been noticed.
      const [oldest] = this.#watches;
      this.#end(oldest!, { code: status.RESOURCE_EXHAUSTED, details: 'too many watches' });
    }
    // Registered in the same turn in which its snapshot is cut: no change falls between the two.
    const watch = new MediaWatch(
      { gateway: gateway(), firstBoot, lnkConns: tables.lnkConns.values(), dialled: orders.established() },
      {
        stream: call,
        clock,
        tooSlow: () => this.#end(watching, { code: status.RESOURCE_EXHAUSTED, details: 'read too slowly' }),
      },
    );
    const watching: Watching = { call, watch };
    this.#watches.add(watching);
    events.listeners.add(watch);
    call.on('cancelled', () => this.#forget(watching));
  }

  #endWatches(refusal: Refusal): void {
    for (const watching of [...this.#watches]) this.#end(watching, refusal);
  }

  #end(watching: Watching, refusal: Refusal): void {
    this.#forget(watching);
    watching.call.emit('error', refusal);
  }

  #forget(watching: Watching): void {
    watching.watch.end();
    this.#watches.delete(watching);
    this.#deps.events.listeners.delete(watching.watch);
  }

  #refusal(error: unknown): Refusal {
    if (!isFailed(error, 'order')) {
      this.#deps.logger.error({ err: error }, 'an order failed');
      return { code: status.INTERNAL, details: 'the gateway failed; its log says why' };
    }
    const { data, message: details } = error;
    const metadata = new Metadata();
    switch (data.why) {
      case 'invalid':
        return { code: status.INVALID_ARGUMENT, details };
      case 'stale-epoch':
        metadata.set('spanmesh-epoch', String(data.epoch));
        return { code: status.FAILED_PRECONDITION, details, metadata };
      case 'superseded':
        return { code: status.ABORTED, details };
      case 'too-many':
        metadata.set('spanmesh-dial-failure', 'refused');
        return { code: status.RESOURCE_EXHAUSTED, details, metadata };
      case 'failed':
        metadata.set('spanmesh-dial-failure', data.failure);
        return {
          code: data.failure === 'unanswered' ? status.DEADLINE_EXCEEDED : status.UNAVAILABLE,
          details,
          metadata,
        };
    }
  }
}

function invalid(message: string): LinkGatewayError<'order'> {
  return new LinkGatewayError('order', { why: 'invalid' }, { message });
}

/** @throws LinkGatewayError order, invalid */
function orderOf(request: DialRequest, connectTimeout: number): Order {
  const { owner, epoch, generation, host, port, label, mediaId, principal } = request;
  checkOwner(owner, epoch);
  if (generation < 1) throw invalid('generations begin with 1');
  if (mediaId.length > MAX_OWNER_CHARS) throw invalid(`media: at most ${MAX_OWNER_CHARS} characters`);
  if (principal.length > MAX_OWNER_CHARS) throw invalid(`principal: at most ${MAX_OWNER_CHARS} characters`);
  if (port < 1 || port > 65535) throw invalid(`${port} is no port`);
  const target = parsePeerTarget(host.includes(':') ? `[${host}]` : host);
  if (target === null) throw invalid('host is neither a name nor a numeric address');
  return {
    owner,
    epoch,
    generation,
    host,
    port,
    dialect: dialectOf(request.dialect) ?? 'auto',
    connectTimeout: Math.min(request.connectTimeoutMs || connectTimeout, MAX_TIMEOUT_MS),
    answerTimeout: Math.min(request.answerTimeoutMs, MAX_TIMEOUT_MS),
    label: label.slice(0, MAX_OWNER_CHARS),
    asker: askerOf(request),
  };
}

/** @throws LinkGatewayError order, invalid */
function checkOwner(owner: string, epoch: number): void {
  if (owner === '' || owner.length > MAX_OWNER_CHARS) throw invalid(`owner: 1 to ${MAX_OWNER_CHARS} characters`);
  if (epoch < 1 || epoch > MAX_EPOCH) throw invalid('that cannot be an epoch');
}
