/**
 * Why a command failed. `usage`: the command line cannot be carried out; `unreachable`: nothing answers at the address;
 * `timeout`: no answer in time; `refused`: the service answered that it cannot; `lost`: a stream ended that should have
 * gone on.
 */
export type FailureCode = 'usage' | 'unreachable' | 'timeout' | 'refused' | 'lost';

/** Exit code of a command that was understood and failed. */
export const EXIT_FAILED = 1;
/** Exit code of a command line that is wrong, as shells and commander's relatives use it. */
export const EXIT_USAGE = 2;

export interface FailureOptions extends ErrorOptions {
  /** An address whose server does not speak gRPC: `aboutStranger` finds out what it is. */
  readonly stranger?: string;
}

/** A failure that one line explains; the line is printed as it is, so peers' strings in it must be escaped already. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly code: FailureCode;
  /** As in FailureOptions; null: there is no such server. */
  readonly stranger: string | null;

  constructor(code: FailureCode, line: string, options?: FailureOptions) {
    super(line, options);
    this.code = code;
    this.stranger = options?.stranger ?? null;
  }

  get exitCode(): number {
    return this.code === 'usage' ? EXIT_USAGE : EXIT_FAILED;
  }
}
