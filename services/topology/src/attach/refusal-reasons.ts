import { status } from '@grpc/grpc-js';
import { RefusalReason } from '@spanmesh/proto/v1/gateway_control';
import { RefusalCause } from '@spanmesh/proto/v1/topology';

/** The status that ends the stream of a gateway that is refused (gateway_control.proto, RefusalReason). */
export function statusOf(reason: RefusalReason): status {
  switch (reason) {
    case RefusalReason.REFUSAL_REASON_NAME_TAKEN:
      return status.ALREADY_EXISTS;
    case RefusalReason.REFUSAL_REASON_VERSION:
      return status.UNIMPLEMENTED;
    case RefusalReason.REFUSAL_REASON_EPOCH:
      return status.INVALID_ARGUMENT;
    case RefusalReason.REFUSAL_REASON_TOO_MANY:
      return status.RESOURCE_EXHAUSTED;
    case RefusalReason.REFUSAL_REASON_NOT_ALLOWED:
      return status.PERMISSION_DENIED;
    default:
      return status.FAILED_PRECONDITION;
  }
}

/** The cause as it is shown to people; undefined: such a refusal passes by itself in a moment. */
export function causeOf(reason: RefusalReason): RefusalCause | undefined {
  switch (reason) {
    case RefusalReason.REFUSAL_REASON_NAME_TAKEN:
      return RefusalCause.REFUSAL_CAUSE_NAME_TAKEN;
    case RefusalReason.REFUSAL_REASON_OTHER_INSTALLATION:
      return RefusalCause.REFUSAL_CAUSE_OTHER_INSTALLATION;
    case RefusalReason.REFUSAL_REASON_VERSION:
      return RefusalCause.REFUSAL_CAUSE_VERSION;
    case RefusalReason.REFUSAL_REASON_EPOCH:
      return RefusalCause.REFUSAL_CAUSE_EPOCH;
    case RefusalReason.REFUSAL_REASON_TOO_MANY:
      return RefusalCause.REFUSAL_CAUSE_TOO_MANY;
    case RefusalReason.REFUSAL_REASON_NOT_ALLOWED:
      return RefusalCause.REFUSAL_CAUSE_NOT_ALLOWED;
    case RefusalReason.REFUSAL_REASON_NOT_LEADER:
    case RefusalReason.REFUSAL_REASON_DECLARED_DEAD:
      return undefined;
    default:
      return RefusalCause.REFUSAL_CAUSE_UNSPECIFIED;
  }
}
