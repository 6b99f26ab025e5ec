/**
 * What is wrong with a PROXY header: not one; another version, command, family or transport than we take; sizes that do not fit; a
 * checksum that does not; the connection ended, or took too long, before it was whole; it ended before a byte came.
 */
export type ProxyErrorCode =
  | 'signature'
  | 'version'
  | 'family'
  | 'length'
  | 'checksum'
  | 'closed'
  | 'timeout'
  | 'empty';

/** A connection from a trusted proxy without a good PROXY protocol header. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  readonly code: ProxyErrorCode;

  constructor(code: ProxyErrorCode) {
    super(`bad PROXY header: ${code}`);
    this.code = code;
  }
}
