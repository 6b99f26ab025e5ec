import type { Commands, StateChange } from '@spanmesh/proto/v1/gateway_control';
import type { Job } from '@spanmesh/runtime/grpc/slices';

/** Who the gateway is to other services. Read at each use: `boot` changes when a leader declares the gateway dead. */
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
  /** Highest number that the gateway has given to a connection, LNK_CONN or link. */
  readonly lastNumber: number;
  /** Ids of the other gateways that this one has something to do with (gateway_control.proto, Hello). */
  readonly gatewaysKnown: Iterable<string>;
  /** A leader of this epoch has taken the gateway on; `rnssAdd`: what relays add to rnss. */
  welcomed(epoch: number, rnssAdd: number): void;
  /** Everything that is open at this moment, in parts that Attach takes; cut in slices (snapshot.ts). */
  snapshot(): Job<StateChange[]>;
  /** Obeys the commands, in slices: each finds the tables as they are when its slice comes. */
  applying(commands: Commands): Job<void>;
  /** A leader has declared the gateway's id dead: the gateway takes a new boot id and keeps its connections. */
  declaredDead(): void;
}
