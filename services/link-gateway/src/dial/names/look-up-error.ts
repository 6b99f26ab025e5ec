/**
 * Why a name has no address for whoever asked.
 *   not-found  it has none; `cause` is what the name server or the system said
 *   timeout    no answer came in time
 *   too-many   too many names of this asker, or of all, wait already
 *   given-up   the asker has given up
 */
export type LookUpErrorCode = 'not-found' | 'timeout' | 'too-many' | 'given-up';

export class LookUpError extends Error {
  override readonly name = 'LookUpError';
  readonly code: LookUpErrorCode;

  constructor(code: LookUpErrorCode, options?: ErrorOptions) {
    super(`look-up failed: ${code}`, options);
    this.code = code;
  }
}
