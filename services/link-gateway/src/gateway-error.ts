/**
 * What is wrong with a PROXY header: not one; another version, command, family or transport than we take; sizes that do not fit; a
 * checksum that does not; the connection ended, or took too long, before it was whole; it ended before a byte came.
 */
export type ProxyFault = 'signature' | 'version' | 'family' | 'length' | 'checksum' | 'closed' | 'timeout' | 'empty';

/**
 * Why a name has no address for whoever asked.
 *   not-found  it has none; `cause` is what the name server or the system said
 *   timeout    no answer came in time
 *   too-many   too many names of this asker, or of all, wait already
 *   given-up   the asker has given up
 */
export type LookUpFault = 'not-found' | 'timeout' | 'too-many' | 'given-up';

/**
 * Why a dial failed: the name has no address; whoever asks may not have us connect there; no key and no permission for plaintext for any
 * address; nobody answered; it took too long; the gateway has no room or is stopping; the crypto handshake failed.
 */
export type DialFault =
  | 'unresolved'
  | 'not-allowed'
  | 'not-admitted'
  | 'unreachable'
  | 'timeout'
  | 'refused'
  | 'handshake';

/** Why no connection stands: as a dial fails, the peer closed it or did not answer our LNK_CONN. */
export type DialFailure = DialFault | 'closed' | 'unanswered';

/**
 * Why an order is not carried out.
 *   invalid      it makes no sense
 *   stale-epoch  another leader has been heard; `epoch` is its
 *   superseded   a later order for the same owner has been heard
 *   failed       it was tried: no connection stands; `failure` says why
 *   too-many     no room for more owners
 */
export type OrderFault =
  | { readonly why: 'invalid' | 'superseded' | 'too-many' }
  | { readonly why: 'stale-epoch'; readonly epoch: number }
  | { readonly why: 'failed'; readonly failure: DialFailure };

/**
 * Why a trunk cannot be had: `already-exists`: both open at once and the other side's stays; `not-this-gateway`: another boot or
 * name was meant; `stopping`; `too-many`: a limit; `invalid`: a message that makes no sense; `timeout`; `unreachable`: the other
 * side cannot be connected to, or refused; `declared-dead`: the leader has declared the caller's id dead; `version`: it speaks a
 * protocol too far from ours; `not-loopback`: without keys only this host may be talked to.
 */
export type TrunkFault =
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

/** What an error says besides its code. */
interface LinkGatewayErrorData {
  /** A connection from a trusted proxy has no good header of it. */
  proxy: { readonly why: ProxyFault };
  'look-up': { readonly why: LookUpFault };
  dial: { readonly why: DialFault };
  order: OrderFault;
  trunk: { readonly why: TrunkFault };
}

export type LinkGatewayErrorCode = keyof LinkGatewayErrorData;

/** The only error class of the gateway: the code says what failed, the data why. Compare these, never the message. */
export class LinkGatewayError<Code extends LinkGatewayErrorCode = LinkGatewayErrorCode> extends Error {
  override readonly name = 'LinkGatewayError';
  readonly code: Code;
  readonly data: LinkGatewayErrorData[Code];

  constructor(
    code: Code,
    data: LinkGatewayErrorData[Code],
    { message = `${code}: ${data.why}`, cause }: { readonly message?: string; readonly cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.code = code;
    this.data = data;
  }
}

/** This is what has failed. */
export function isFailed<Code extends LinkGatewayErrorCode>(
  thrown: unknown,
  code: Code,
): thrown is LinkGatewayError<Code> {
  return thrown instanceof LinkGatewayError && thrown.code === code;
}
