/** Mistakes of the caller. Peers cannot cause them: their input is checked where their messages come in. */
export type SpanTreeErrorCode =
  /** an option out of its range */
  | 'option'
  /** a peer_type that no bit of a peer_mask stands for (protocol.md, "Payloads": > 63 is refused with PARAM) */
  | 'peer-type'
  /** something was added to a connection that is gone */
  | 'removed'
  /** a link and a LNK_CONN of different dialects were named as a pair */
  | 'dialect'
  /** the tree was changed from within a flush */
  | 'reentrant';

/** The only error class of this library. `data` holds the values that broke the rule. */
export class SpanTreeError extends Error {
  readonly code: SpanTreeErrorCode;
  readonly data: Readonly<Record<string, string | number>>;

  constructor(code: SpanTreeErrorCode, message: string, data: Readonly<Record<string, string | number>> = {}) {
    super(message);
    this.name = 'SpanTreeError';
    this.code = code;
    this.data = data;
  }
}
