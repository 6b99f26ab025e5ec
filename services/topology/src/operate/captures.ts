import { type ServerWritableStream, type ServiceError, status } from '@grpc/grpc-js';
import { CaptureClient } from '@spanmesh/proto/v1/capture';
import type { CaptureConnectionRequest, CaptureConnectionResponse } from '@spanmesh/proto/v1/topology';
import { USER_HEADER } from '@spanmesh/runtime/access/gate';
import { callerOf } from '@spanmesh/runtime/access/passed-on-caller';
import { ApiError, invalid } from '@spanmesh/runtime/grpc/api-error';
import { createClient, PLAINTEXT } from '@spanmesh/runtime/grpc/grpc-client';
import { runNow } from '@spanmesh/runtime/grpc/slices';
import { type ChannelSecurity, meetingGateway } from '@spanmesh/runtime/tls/tls-credentials';
import { findConnection } from '../show/find.ts';
import { showConnection } from '../show/show-connection.ts';
import { connectionData, type Gateway } from '../trees/gateway.ts';
import type { Trees } from '../trees/trees.ts';
import { notAttached } from './find-gateway.ts';

/** Captures passed on at a time; a gateway runs fewer. */
export const MAX_CAPTURES_PASSED = 16;
/** Longest capture, ms (topology.proto). */
const MAX_CAPTURE_MS = 3_600_000;

/** How a leader reaches the gateways. */
export interface GatewayChannel {
  /** `Security.channel(LINK_GATEWAY_NAME)`; default: plaintext. */
  readonly security?: ChannelSecurity | undefined;
  /** `host:port` of a gateway's service port; default: the address that the gateway has stated. */
  readonly address?: ((gateway: Pick<Gateway, 'serviceAddress'>) => string) | undefined;
}

type Call = ServerWritableStream<CaptureConnectionRequest, CaptureConnectionResponse>;

/** Passes captures on from gateways to users of the API. */
export class Captures {
  readonly #trees: Trees;
  readonly #security: ChannelSecurity;
  readonly #address: (gateway: Pick<Gateway, 'serviceAddress'>) => string;
  /** For each running capture, a function that ends it with the given reason. */
  readonly #running = new Set<(why: string) => void>();

  constructor(
    trees: Trees,
    { security = PLAINTEXT, address = ({ serviceAddress }) => serviceAddress }: GatewayChannel = {},
  ) {
    this.#trees = trees;
    this.#security = security;
    this.#address = address;
  }

  /**
   * Answers CaptureConnection.
   * @throws ApiError NOT_FOUND, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAVAILABLE (topology.proto)
   */
  capture(call: Call): void {
    const { connection: text, count, durationMs, snaplen } = call.request;
    if (durationMs > MAX_CAPTURE_MS) throw invalid(`A capture lasts ${MAX_CAPTURE_MS} ms (an hour) at most.`);
    const connection = runNow(findConnection(this.#trees, text));
    const { gateway, opened } = connectionData(connection);
    const address = this.#address(gateway);
    if (!gateway.attached || address === '') throw notAttached(gateway);
    if (this.#running.size >= MAX_CAPTURES_PASSED) {
      throw new ApiError(status.RESOURCE_EXHAUSTED, `${MAX_CAPTURES_PASSED} captures run already: try again later.`);
    }
    const client = createClient(CaptureClient, address, { security: meetingGateway(this.#security, gateway.name) });
    const upstream = client.captureMessages({
      connection: opened.id,
      count,
      durationMs,
      snaplen,
      by: shownCaller(call),
    });
    const done = (error: Error | null): void => {
      if (!this.#running.delete(abort)) return;
      if (error === null) call.end();
      else call.emit('error', error);
      upstream.cancel();
      client.close();
    };
    const abort = (why: string): void => done(new ApiError(status.UNAVAILABLE, why));
    this.#running.add(abort);
    let shown: CaptureConnectionResponse['connection'] = showConnection(connection);
    // If the user reads slowly, the gateway's stream slows down, too: the gateway drops messages and counts them, which
    // this replica could not.
    upstream.on('data', (captured) => {
      if (!this.#running.has(abort)) return;
      if (!call.write({ connection: shown, captured })) upstream.pause();
      shown = undefined;
    });
    call.on('drain', () => upstream.resume());
    upstream.on('end', () => done(null));
    upstream.on('error', (error: ServiceError) => done(explained(error, gateway)));
    call.on('cancelled', () => done(new ApiError(status.CANCELLED, 'cancelled')));
  }

  /** Ends all captures: this replica does not lead any more. */
  endAll(details: string): void {
    for (const abort of [...this.#running]) abort(details);
  }
}

/** The user for the gateway's log: the name as authenticated by the gate, and the address. */
function shownCaller(call: Call): string {
  const from = callerOf(call).address;
  const [user] = call.metadata.get(USER_HEADER);
  return typeof user === 'string' ? `${user} from ${from}` : `somebody from ${from}`;
}

/** The error for the user when the gateway's call has failed. */
function explained({ code, details }: ServiceError, { id, version }: Gateway): ApiError {
  if (code === status.UNIMPLEMENTED) {
    return new ApiError(
      code,
      `Gateway ${id} (version ${version || 'unknown'}) is too old to capture: upgrade it first.`,
    );
  }
  if (code === status.UNAVAILABLE) return new ApiError(code, `Gateway ${id} cannot be reached from here: ${details}`);
  return new ApiError(code, details);
}
