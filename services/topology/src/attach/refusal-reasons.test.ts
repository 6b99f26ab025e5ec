import { status } from '@grpc/grpc-js';
import { RefusalReason } from '@spanmesh/proto/v1/gateway_control';
import { RefusalCause } from '@spanmesh/proto/v1/topology';
import { expect, it } from 'vitest';
import { causeOf, statusOf } from './refusal-reasons.ts';

it.each([
  ['NOT_LEADER', status.FAILED_PRECONDITION, undefined],
  ['DECLARED_DEAD', status.FAILED_PRECONDITION, undefined],
  ['NAME_TAKEN', status.ALREADY_EXISTS, 'NAME_TAKEN'],
  ['OTHER_INSTALLATION', status.FAILED_PRECONDITION, 'OTHER_INSTALLATION'],
  ['VERSION', status.UNIMPLEMENTED, 'VERSION'],
  ['EPOCH', status.INVALID_ARGUMENT, 'EPOCH'],
  ['TOO_MANY', status.RESOURCE_EXHAUSTED, 'TOO_MANY'],
  ['NOT_ALLOWED', status.PERMISSION_DENIED, 'NOT_ALLOWED'],
  ['UNSPECIFIED', status.FAILED_PRECONDITION, 'UNSPECIFIED'],
] as const)('a gateway that is refused as %s gets status %i, and people see %s', (reason, code, cause) => {
  const one = RefusalReason[`REFUSAL_REASON_${reason}`];
  expect([statusOf(one), causeOf(one)]).toEqual([
    code,
    cause === undefined ? undefined : RefusalCause[`REFUSAL_CAUSE_${cause}`],
  ]);
});
