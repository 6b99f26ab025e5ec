import { type ServerWritableStream, status } from '@grpc/grpc-js';
import type { CaptureMessagesRequest, CaptureMessagesResponse, CaptureServer } from '@spanmesh/proto/v1/capture';
import type { Clock } from '@spanmesh/runtime/clock';
import { ApiError } from '@spanmesh/runtime/grpc/api-error';
import type { Logger } from '@spanmesh/runtime/log/logger';
import type { Connection } from '../connection/connection.ts';
import { MAX_CAPTURES } from '../limits.ts';
import { Capture } from './capture.ts';

/** Longest name of the one who orders a capture, in characters (capture.proto). */
const MAX_BY_CHARS = 200;

type Call = ServerWritableStream<CaptureMessagesRequest, CaptureMessagesResponse>;

/** The part of a Peer that is needed here. */
interface Holder {
  readonly connection: Connection;
}

/**
 * The service Capture of capture.proto: the captures that run on this gateway, one a connection, MAX_CAPTURES in all.
 */
export class Captures {
  readonly #connections: ReadonlyMap<number, Holder>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #running = new Set<Capture>();

  constructor(
    connections: ReadonlyMap<number, Holder>,
    { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  ) {
    this.#connections = connections;
    this.#clock = clock;
    this.#logger = logger;
  }

  get running(): number {
    return this.#running.size;
  }

  readonly implementation: CaptureServer = {
    captureMessages: (call) => {
      try {
        this.#begin(call);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        call.emit('error', error);
      }
    },
  };

  /** A connection has ended: ends its capture. */
  gone(connection: Connection, reason: string): void {
    for (const capture of [...this.#running]) {
      if (capture.connection === connection) capture.end(`the connection has ended: ${reason}`);
    }
  }

  stop(): void {
    for (const capture of [...this.#running]) capture.end('the gateway stops');
  }

  /** @throws ApiError as capture.proto says */
  #begin(call: Call): void {
    const { request } = call;
    const connection = this.#connections.get(request.connection)?.connection;
    if (connection === undefined) throw new ApiError(status.NOT_FOUND, 'That connection has ended.');
    if (connection.tap !== null) {
      throw new ApiError(status.RESOURCE_EXHAUSTED, 'That connection is being captured already: one at a time.');
    }
    if (this.#running.size >= MAX_CAPTURES) {
      throw new ApiError(status.RESOURCE_EXHAUSTED, `${MAX_CAPTURES} captures run on this gateway already.`);
    }
    const about = { connection: connection.id, peer: connection.remote };
    const capture: Capture = new Capture(connection, request, {
      clock: this.#clock,
      stream: call,
      over: () => {
        this.#running.delete(capture);
        this.#logger.info({ ...about, messages: capture.messages, dropped: capture.dropped }, 'capture has ended');
      },
    });
    this.#running.add(capture);
    call.on('cancelled', () => capture.cancel());
    const by = request.by.slice(0, MAX_BY_CHARS);
    this.#logger.info({ ...about, by }, 'connection is being captured, by order');
  }
}
