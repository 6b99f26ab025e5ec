import { ReplicationClient } from '@spanmesh/proto/v1/replication';
import { channelOptions } from '@spanmesh/runtime/grpc/grpc-client';
import type { ChannelSecurity } from '@spanmesh/runtime/tls/tls-credentials';
import type { FollowCall } from './follower.ts';

/** Opens a stream to the leader at `address` on a channel of its own, so that each attempt resolves the name anew. */
export function openCall(address: string, { credentials, options }: ChannelSecurity): FollowCall {
  const client = new ReplicationClient(address, credentials, {
    ...channelOptions,
    ...options,
    // Otherwise this channel would share the reconnect pause of an earlier channel to the address.
    'grpc.use_local_subchannel_pool': 1,
  });
  const stream = client.follow();
  return {
    stream,
    close: () => {
      stream.cancel();
      client.close();
    },
  };
}
