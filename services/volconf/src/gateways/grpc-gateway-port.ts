import { type Client, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import {
  DialClient,
  type DialRequest,
  type DialResponse,
  type HangupRequest,
  type HangupResponse,
  type WatchMediaResponse,
} from '@spanmesh/proto/v1/dial';
import { channelOptions } from '@spanmesh/runtime/grpc/grpc-client';
import type { ChannelSecurity } from '@spanmesh/runtime/tls/tls-credentials';
import { TRACE_HEADER, traceparent } from '@spanmesh/runtime/trace/trace-context';
import { NO_TRACING, type Tracing } from '@spanmesh/runtime/trace/tracing';
import { CALL_MARGIN_MS, HANGUP_CALL_MS } from '../limits.ts';
import { type GatewayPort, type MediaSink, type MediaStream, OrderError } from './gateway-port.ts';

/** Calls the gateway whose service port is at `host:port`. */
export class GrpcGatewayPort implements GatewayPort {
  readonly #client: DialClient;
  readonly #tracing: Pick<Tracing, 'tracer'>;

  constructor(
    address: string,
    { credentials, options }: ChannelSecurity,
    { tracing = NO_TRACING }: { readonly tracing?: Pick<Tracing, 'tracer'> | undefined } = {},
  ) {
    this.#tracing = tracing;
    this.#client = new DialClient(address, credentials, {
      ...channelOptions,
      ...options,
      // Otherwise this channel would share the reconnect pause of an earlier channel to the address.
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  dial(request: DialRequest): Promise<DialResponse> {
    const deadline = Date.now() + request.connectTimeoutMs + request.answerTimeoutMs + CALL_MARGIN_MS;
    const metadata = new Metadata();
    const { tracer } = this.#tracing;
    const step = tracer?.begin('target dialled', {
      kind: 'client',
      attributes: { 'server.address': request.host, 'server.port': request.port, 'spanmesh.target': request.label },
    });
    if (step !== undefined) metadata.set(TRACE_HEADER, traceparent(step.context));
    return new Promise((resolve, reject) => {
      this.#client.dial(request, metadata, { deadline }, (error, response) => {
        step?.end(error?.details);
        if (error === null) resolve(response);
        else reject(gatewayError(error));
      });
    });
  }

  hangup(request: HangupRequest): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.hangup(
        request,
        new Metadata(),
        { deadline: Date.now() + HANGUP_CALL_MS },
        (error: ServiceError | null, _response: HangupResponse) => {
          if (error === null) resolve();
          else reject(gatewayError(error));
        },
      );
    });
  }

  watch(epoch: number, sink: MediaSink): MediaStream {
    const stream = this.#client.watchMedia({ epoch });
    let over = false;
    const end = (error: OrderError) => {
      if (over) return;
      over = true;
      sink.ended(error);
    };
    stream.on('data', (response: WatchMediaResponse) => {
      if (over) return;
      try {
        sink.message(response);
      } catch (error) {
        // An invalid message ends its stream, not the process.
        stream.cancel();
        end(new OrderError('unknown', 'the gateway sent what cannot be understood', { cause: error }));
      }
    });
    stream.on('error', (error: ServiceError) => end(gatewayError(error)));
    stream.on('end', () => end(new OrderError('unknown', 'the gateway ended the watch')));
    return {
      cancel: () => {
        over = true;
        stream.cancel();
      },
    };
  }

  close(): void {
    (this.#client as Client).close();
  }
}

/**
 * The error of a failed order. Only codes that the gateway itself sends (dial.proto) are certain: an UNAVAILABLE may
 * come from the connection to it.
 */
function gatewayError(error: ServiceError): OrderError {
  const { code, details, metadata } = error;
  if (metadata.get('spanmesh-dial-failure').length > 0) return new OrderError('failed', details, { cause: error });
  const epoch = Number(metadata.get('spanmesh-epoch')[0] ?? Number.NaN);
  if (code === status.FAILED_PRECONDITION && Number.isInteger(epoch)) {
    return new OrderError('stale-epoch', details, { epoch, cause: error });
  }
  if (code === status.ABORTED) return new OrderError('superseded', details, { cause: error });
  return new OrderError('unknown', `the gateway could not be asked: ${details}`, { cause: error });
}
