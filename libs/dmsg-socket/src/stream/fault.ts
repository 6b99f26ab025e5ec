import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { type ErrorCode, errorName } from '@spanmesh/dmsg/error-code';

/** Why handling a peer's bytes failed, for a log: a rule that the peer has broken, or a fault of this program. */
export type Fault =
  | { readonly kind: 'protocol'; readonly code: ErrorCode; readonly name: string; readonly detail: FaultDetail }
  | { readonly kind: 'internal'; readonly detail: FaultDetail };

export type FaultDetail = Readonly<Record<string, unknown>>;

/** The fault that a caught error stands for. */
export function faultOf(thrown: unknown): Fault {
  if (!(thrown instanceof DmsgError)) return { kind: 'internal', detail: { err: thrown } };
  const { code, reason, data } = thrown;
  const name = errorName(code);
  return { kind: 'protocol', code, name, detail: { error: name, rule: reason, ...data } };
}
