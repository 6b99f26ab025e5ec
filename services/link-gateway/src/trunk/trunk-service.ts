import { type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { nameOf } from '@spanmesh/proto/gateway-id';
import { type OpenTrunkRequest, type OpenTrunkResponse, TrunkService } from '@spanmesh/proto/v1/trunk';
import type { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { gatewaysOfCaller } from '@spanmesh/runtime/tls/gateway-certificate';
import { isFailed, type TrunkFault } from '../gateway-error.ts';
import type { GatewayTrunks } from './gateway-trunks.ts';

/** The statuses that trunk.proto names; any other fault is INTERNAL. */
const STATUS: Readonly<Partial<Record<TrunkFault, status>>> = {
  'already-exists': status.ALREADY_EXISTS,
  'not-this-gateway': status.FAILED_PRECONDITION,
  stopping: status.FAILED_PRECONDITION,
  'declared-dead': status.NOT_FOUND,
  'too-many': status.RESOURCE_EXHAUSTED,
  invalid: status.INVALID_ARGUMENT,
  version: status.UNIMPLEMENTED,
};

/** Serves Trunk (trunk.proto) to the other gateways. Call it before the server is started. */
export function serveTrunks(server: Pick<GrpcServer, 'addService'>, trunks: GatewayTrunks): void {
  server.addService(TrunkService, {
    openTrunk(
      call: ServerUnaryCall<OpenTrunkRequest, OpenTrunkResponse>,
      answer: sendUnaryData<OpenTrunkResponse>,
    ): void {
      const whyNot = gatewaysOfCaller(call)(nameOf(call.request.from));
      if (whyNot !== null) {
        answer({ code: status.PERMISSION_DENIED, details: whyNot });
        return;
      }
      try {
        answer(null, trunks.openTrunk(call.request));
      } catch (error) {
        if (!isFailed(error, 'trunk')) throw error;
        answer({ code: STATUS[error.data.why] ?? status.INTERNAL, details: error.message });
      }
    },
  });
}
