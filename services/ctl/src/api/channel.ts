import {
  type CallOptions,
  type ChannelOptions,
  type ClientUnaryCall,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { type CallContext, failureOf } from './call-failure.ts';

/** Largest answer accepted, in bytes; the services send no larger ones. */
export const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** Longest time until a lost connection is tried again, ms: a watch waits for it. */
const LONGEST_RECONNECT_MS = 2000;
const FIRST_RECONNECT_MS = 200;

export const CHANNEL_OPTIONS: ChannelOptions = {
  'grpc.max_receive_message_length': MAX_ANSWER_BYTES,
  // The API is near; an http_proxy of the environment is meant for the web.
  'grpc.enable_http_proxy': 0,
  'grpc.initial_reconnect_backoff_ms': FIRST_RECONNECT_MS,
  'grpc.max_reconnect_backoff_ms': LONGEST_RECONNECT_MS,
};

/** A unary call of a generated client. */
export type UnaryCall<Q, R> = (
  request: Q,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: R) => void,
) => ClientUnaryCall;

/**
 * Makes a unary call that is bound to its client.
 * @throws Failure
 */
export function callUnary<Q, R>(call: UnaryCall<Q, R>, request: Q, context: CallContext): Promise<R> {
  return new Promise((resolve, reject) => {
    call(request, new Metadata(), { deadline: Date.now() + context.timeoutMs }, (error, response) => {
      if (error === null) resolve(response);
      else reject(failureOf(error, context));
    });
  });
}
