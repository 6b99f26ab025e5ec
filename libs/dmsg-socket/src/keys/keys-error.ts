/**
 * Why a keys directory cannot be read as a whole: it does not exist or is no directory; the system does not allow it;
 * it has too many files.
 */
export type KeysErrorCode = 'missing' | 'unreadable' | 'too-many-files';

/** Data of a KeysError: the system's error code, or the limit of files. */
export interface KeysErrorData {
  readonly system?: string;
  readonly limit?: number;
}

/**
 * The only error class of this library: a keys directory cannot be read. A single bad file is a KeyProblem
 * (key-files.ts), a failed handshake a HandshakeFailure.
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
