/** Why a keys directory cannot be read as a whole: it is not there or no directory; the system does not let us; too many files. */
export type KeysErrorCode = 'missing' | 'unreadable' | 'too-many-files';

/** A keys directory cannot be read. What is wrong with a single file is not an error but a problem (key-files.ts). */
export class KeysError extends Error {
  override readonly name = 'KeysError';
  readonly code: KeysErrorCode;

  constructor(code: KeysErrorCode, problem: string, options?: ErrorOptions) {
    super(problem, options);
    this.code = code;
  }
}
