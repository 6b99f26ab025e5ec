/**
 * Faults of certificates, keys or tokens. `unreadable`: a file; `no-certificate`, `bad-certificate`, `bad-key`: the
 * content of a file; `mismatch`: the key does not belong to the certificate; `not-yet-valid`, `expired`: by this host's
 * clock; `wrong-name`: the certificate of another service; `bad-tokens`: a line of the tokens file.
 */
export type TlsErrorCode =
  | 'unreadable'
  | 'no-certificate'
  | 'bad-certificate'
  | 'bad-key'
  | 'mismatch'
  | 'not-yet-valid'
  | 'expired'
  | 'wrong-name'
  | 'bad-tokens';

/** The message names the file, and repeats nothing of its content. */
export class TlsError extends Error {
  override readonly name = 'TlsError';
  readonly code: TlsErrorCode;
  /** The file at fault; empty: unknown, or more than one. */
  readonly file: string;

  constructor(code: TlsErrorCode, file: string, problem: string, options?: ErrorOptions) {
    super(file === '' ? problem : `${file}: ${problem}`, options);
    this.code = code;
    this.file = file;
  }
}
