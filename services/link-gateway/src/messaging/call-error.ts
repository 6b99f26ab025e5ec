import { status } from '@grpc/grpc-js';

/** What goes wrong for a user of the API: a gRPC status, and a sentence that says what to do. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly code: status;
  readonly details: string;

  constructor(code: status, details: string) {
    super(details);
    this.code = code;
    this.details = details;
  }
}

export function invalid(details: string): CallError {
  return new CallError(status.INVALID_ARGUMENT, details);
}

/** The same for whatever was thrown: a fault of ours is not explained to users. */
export function toCallError(error: unknown): CallError {
  if (error instanceof CallError) return error;
  return new CallError(status.INTERNAL, 'The gateway failed to answer; its log says why.');
}
