import { type ChannelCredentials, type ClientOptions, credentials as grpcCredentials } from '@grpc/grpc-js';
import {
  GRPC_KEEPALIVE_MS,
  GRPC_KEEPALIVE_TIMEOUT_MS,
  GRPC_MAX_BACKOFF_MS,
  MAX_GRPC_MESSAGE_BYTES,
} from './grpc-channel.ts';

/** Options of every channel between services and from the command line. */
export const channelOptions: ClientOptions = {
  'grpc.max_receive_message_length': MAX_GRPC_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_GRPC_MESSAGE_BYTES,
  'grpc.keepalive_time_ms': GRPC_KEEPALIVE_MS,
  'grpc.keepalive_timeout_ms': GRPC_KEEPALIVE_TIMEOUT_MS,
  // Also while no call is open: a dead leader should be known before the next call needs it.
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.min_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': GRPC_MAX_BACKOFF_MS,
  'grpc.enable_http_proxy': 0,
};

/** A client class as ts-proto generates it. */
export type ClientConstructor<C> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: Partial<ClientOptions>,
) => C;

/** A client of `host:port` (formatHostPort), plaintext unless credentials are given. Close it when done. */
export function createClient<C>(
  Client: ClientConstructor<C>,
  address: string,
  { credentials = grpcCredentials.createInsecure() }: { credentials?: ChannelCredentials } = {},
): C {
  return new Client(address, credentials, channelOptions);
}
