import { type ChannelCredentials, type ClientOptions, credentials } from '@grpc/grpc-js';
import type { ChannelSecurity } from '../tls/tls-credentials.ts';
import {
  GRPC_KEEPALIVE_MS,
  GRPC_KEEPALIVE_TIMEOUT_MS,
  GRPC_MAX_BACKOFF_MS,
  MAX_GRPC_MESSAGE_BYTES,
} from './grpc-channel.ts';
import { sayProtocol } from './protocol-interceptors.ts';

/** Options of every channel between services. */
export const channelOptions: ClientOptions = {
  'grpc.max_receive_message_length': MAX_GRPC_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_GRPC_MESSAGE_BYTES,
  'grpc.keepalive_time_ms': GRPC_KEEPALIVE_MS,
  'grpc.keepalive_timeout_ms': GRPC_KEEPALIVE_TIMEOUT_MS,
  // Also while no call is open: that a leader is dead should be known before the next call needs it.
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.min_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': GRPC_MAX_BACKOFF_MS,
  'grpc.enable_http_proxy': 0,
  interceptors: [sayProtocol()],
};

/** A client class as ts-proto generates it. */
export type ClientConstructor<C> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: Partial<ClientOptions>,
) => C;

/** A channel without certificates. */
export const PLAINTEXT: ChannelSecurity = { credentials: credentials.createInsecure(), options: {} };

/**
 * A client of `host:port` (formatHostPort), without TLS unless `security` (Security.channel) says otherwise. The caller
 * closes it.
 */
export function createClient<C>(
  Client: ClientConstructor<C>,
  address: string,
  { security = PLAINTEXT }: { security?: ChannelSecurity } = {},
): C {
  return new Client(address, security.credentials, { ...channelOptions, ...security.options });
}
