import { type ServiceError, status } from '@grpc/grpc-js';
import { Failure } from '../failure.ts';
import { printable } from '../output/printable.ts';

/** What is known about a call beside its error. */
export interface CallContext {
  readonly address: string;
  readonly timeoutMs: number;
  /** Full name of the service that was called. */
  readonly service: string;
  /** The caller cancelled the call because no answer came in time. */
  readonly late?: boolean;
}

/** One line about a failed call, for whoever typed the command. Anything but a gRPC error is given back as it is. */
export function failureOf(error: unknown, { address, timeoutMs, service, late = false }: CallContext): unknown {
  if (!isServiceError(error)) return error;
  const details = printable(error.details);
  if (late || error.code === status.DEADLINE_EXCEEDED) {
    return new Failure('timeout', `${address} did not answer within ${timeoutMs / 1000} s`, { cause: error });
  }
  switch (error.code) {
    case status.UNAVAILABLE:
      // Whether nobody listens or somebody who will not serve: grpc-js says so only in its text.
      return /^No connection established|^Name resolution failed|ECONNREFUSED|EHOSTUNREACH|ENOTFOUND/.test(
        error.details,
      )
        ? new Failure('unreachable', `cannot reach ${address}: is spanmesh running? try \`npm start\``, {
            cause: error,
          })
        : new Failure('unreachable', `${address} is not available now: ${details}`, { cause: error });
    case status.UNIMPLEMENTED:
      return new Failure('refused', `${address} does not serve ${service}`, { cause: error });
    default:
      return new Failure('refused', details === '' ? `${address} answered ${status[error.code]}` : details, {
        cause: error,
      });
  }
}

/** True for an error of a call, with its status. */
export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && 'details' in error && typeof error.details === 'string';
}
