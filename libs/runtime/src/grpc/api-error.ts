import { status } from '@grpc/grpc-js';
import type { Clock } from '../clock.ts';
import { type Logger, Throttle } from '../log/logger.ts';

/** The same fault is logged once in this time, ms. */
const LOG_INTERVAL_MS = 10_000;

/**
 * Longest sentence of an error, characters: it goes into a header, which clients take only up to a few KiB, and it may
 * quote what the user has asked for.
 */
const MAX_DETAILS_CHARS = 1000;

/** An error for a user of the API: a gRPC status, and a sentence that says what to do. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: status;
  readonly details: string;

  constructor(code: status, details: string, options?: ErrorOptions) {
    const short = details.length > MAX_DETAILS_CHARS ? `${details.slice(0, MAX_DETAILS_CHARS)}…` : details;
    super(short, options);
    this.code = code;
    this.details = short;
  }
}

export function invalid(details: string): ApiError {
  return new ApiError(status.INVALID_ARGUMENT, details);
}

/**
 * Turns an exception into the answer to a call. A fault of ours is not explained to users, but logged, once an
 * interval.
 */
export class FaultLog {
  readonly #service: string;
  readonly #logger: Logger;
  readonly #throttle: Throttle;

  /** `service`: its name for users. */
  constructor({ service }: { service: string }, { logger, clock }: { logger: Logger; clock: Clock }) {
    this.#service = service;
    this.#logger = logger;
    this.#throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock });
  }

  report(error: unknown): ApiError {
    if (error instanceof ApiError) return error;
    const { log, suppressed } = this.#throttle.admit(error instanceof Error ? error.message : '');
    if (log) this.#logger.error({ err: error, suppressed }, 'request failed');
    return new ApiError(status.INTERNAL, `The ${this.#service} service failed to answer; its log says why.`);
  }
}
