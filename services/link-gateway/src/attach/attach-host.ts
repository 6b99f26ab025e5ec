import type { Commands, StateChange } from '@spanmesh/proto/v1/gateway_control';
import type { Job } from '@spanmesh/runtime/grpc/slices';

/** Who the gateway is towards the other services. Read anew at each use: `boot` changes when a leader has declared it dead. */
export interface GatewayIdentity {
  readonly name: string;
  readonly boot: string;
  /** The boot id that the process began with. */
  readonly firstBoot: string;
  readonly version: string;
  /** Where other gateways reach it; known once the ports are listened on. Empty: they cannot. */
  readonly serviceAddress: string;
}

/** What the stream to topology asks of the gateway. */
export interface AttachHost {
  readonly identity: GatewayIdentity;
  /** Highest number that it has given to anything. */
  readonly lastNumber: number;
  /** Ids of the other gateways that it has something to do with (gateway_control.proto, Hello). */
  readonly gatewaysKnown: Iterable<string>;
  /** A leader of this epoch has taken it on; `rnssAdd`: what relays add to rnss. */
  welcomed(epoch: number, rnssAdd: number): void;
  /** Everything that is open at this moment, in parts that Attach takes; cut in slices (snapshot.ts). */
  snapshot(): Job<StateChange[]>;
  /** In slices: what changes in between is found as it is then. */
  applying(commands: Commands): Job<void>;
  /** A leader has declared its id dead: it takes another, and keeps what it has. */
  declaredDead(): void;
}
