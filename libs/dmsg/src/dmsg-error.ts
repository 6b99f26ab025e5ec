import type { ErrorCode } from './error-code.ts';
import { errorName } from './error-code.ts';

/** Data of an error for the log: numbers and short words, never a peer's bytes. */
export type DmsgErrorData = Readonly<Record<string, number | string | boolean>>;

/**
 * The only error class of this library: a code of the protocol (protocol.md, "Message": Errors), a short text that says
 * which rule was broken, and data for the log. Compare `code`, never the texts.
 */
export class DmsgError extends Error {
  override readonly name = 'DmsgError';
  readonly code: ErrorCode;
  readonly reason: string;
  readonly data: DmsgErrorData;

  constructor(code: ErrorCode, reason: string, data: DmsgErrorData = {}, options?: ErrorOptions) {
    super(`${errorName(code)}: ${reason}`, options);
    this.code = code;
    this.reason = reason;
    this.data = data;
  }
}
