/**
 * Why a trunk cannot be had: `already-exists`: both open at once and the other side's stays; `not-this-gateway`: another boot or
 * name was meant; `stopping`; `too-many`: a limit; `invalid`: a message that makes no sense; `timeout`; `unreachable`: the other
 * side cannot be connected to, or refused; `declared-dead`: the leader has declared the caller's id dead; `version`: it speaks a
 * protocol too far from ours; `not-loopback`: without keys only this host may be talked to.
 */
export type TrunkErrorCode =
  | 'already-exists'
  | 'not-this-gateway'
  | 'stopping'
  | 'too-many'
  | 'invalid'
  | 'timeout'
  | 'unreachable'
  | 'declared-dead'
  | 'version'
  | 'not-loopback';

export class TrunkError extends Error {
  override readonly name = 'TrunkError';
  readonly code: TrunkErrorCode;

  constructor(code: TrunkErrorCode, message: string = code, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
