/**
 * Faults of certificates, keys or tokens: `unreadable` a file; `no-certificate`, `bad-certificate`, `bad-key`: what is
 * in it; `mismatch`: the key is not the certificate's; `not-yet-valid`, `expired`: by this host's clock; `wrong-name`: a
 * certificate of somebody else; `bad-tokens`: a line of the tokens file.
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

/** Its message names the file and never repeats what is in it. */
export class TlsError extends Error {
  override readonly name = 'TlsError';
  readonly code: TlsErrorCode;
  /** The file at fault; empty: none, or more than one. */
  readonly file: string;

  constructor(code: TlsErrorCode, file: string, problem: string, options?: ErrorOptions) {
    super(file === '' ? problem : `${file}: ${problem}`, options);
    this.code = code;
    this.file = file;
  }
}
