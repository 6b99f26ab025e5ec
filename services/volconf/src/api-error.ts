import { status } from '@grpc/grpc-js';

/** What goes wrong for a user of the API: a gRPC status, and a sentence that says what to do. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: status;
  readonly details: string;

  constructor(code: status, details: string, options?: ErrorOptions) {
    super(details, options);
    this.code = code;
    this.details = details;
  }
}

export function invalid(details: string): ApiError {
  return new ApiError(status.INVALID_ARGUMENT, details);
}

/** The same for whatever was thrown: a fault of ours is not explained to users. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(status.INTERNAL, 'The volconf service failed to answer; its log says why.');
}
