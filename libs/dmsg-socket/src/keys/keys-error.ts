/** Why a keys directory cannot be read as a whole: it is not there or no directory; the system does not let us; too many files. */
export type KeysErrorCode = 'missing' | 'unreadable' | 'too-many-files';

/** What an error carries besides its code: the system's own code, or how many files there may be. */
export interface KeysErrorData {
  readonly system?: string;
  readonly limit?: number;
}

/**
 * The only error class of this library: a keys directory cannot be read. What is wrong with a single file is not an error but a problem
 * (key-files.ts), what a handshake fails of a HandshakeFailure.
 */
export class KeysError extends Error {
  override readonly name = 'KeysError';
  readonly code: KeysErrorCode;
  readonly data: KeysErrorData;

  constructor(code: KeysErrorCode, problem: string, data: KeysErrorData = {}, options?: ErrorOptions) {
    super(problem, options);
    this.code = code;
    this.data = data;
  }
}
