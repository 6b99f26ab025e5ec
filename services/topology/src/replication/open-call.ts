import { ReplicationClient } from '@spanmesh/proto/v1/replication';
import { channelOptions } from '@spanmesh/runtime/grpc/grpc-client';
import type { ChannelSecurity } from '@spanmesh/runtime/tls/tls-credentials';
import type { FollowCall } from './follower.ts';

/** A stream to the leader at `address`, on a channel of its own: names are looked up afresh for each attempt. */
export function openCall(address: string, { credentials, options }: ChannelSecurity): FollowCall {
  const client = new ReplicationClient(address, credentials, {
    ...channelOptions,
    ...options,
    // Otherwise a pause that an earlier channel has to keep would be this one's, too.
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
