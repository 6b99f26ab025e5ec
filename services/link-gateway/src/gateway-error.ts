/**
 * What is wrong with a PROXY header: `signature`: it is none; `version`: a version or command that is not accepted;
 * `family`: a family or transport that is not accepted; `length`: sizes that do not fit; `checksum`: a wrong checksum;
 * `closed`, `timeout`: the connection ended, or took too long, before the header was complete; `empty`: it ended before
 * a byte came.
 */
export type ProxyFault = 'signature' | 'version' | 'family' | 'length' | 'checksum' | 'closed' | 'timeout' | 'empty';

/**
 * Why the look-up of a name gives no address.
 *   not-found  the name has none; `cause` is the error of the name server or the system
 *   timeout    no answer came in time
 *   too-many   too many names of this asker, or of all, are being looked up already
 *   given-up   the asker has given up
 */
export type LookUpFault = 'not-found' | 'timeout' | 'too-many' | 'given-up';

/**
 * Why a dial failed: `unresolved`: the name has no address; `not-allowed`: the asker may not have us connect there;
 * `not-admitted`: for no address is there a key, or permission for plaintext; `unreachable`: nobody answered;
 * `timeout`; `refused`: the gateway has no room or is stopping; `handshake`: the crypto handshake failed.
 */
export type DialFault =
  | 'unresolved'
  | 'not-allowed'
  | 'not-admitted'
  | 'unreachable'
  | 'timeout'
  | 'refused'
  | 'handshake';

/**
 * Why a dialled connection does not exist: the dial failed, the peer closed the connection, or the peer did not answer
 * our LNK_CONN.
 */
export type DialFailure = DialFault | 'closed' | 'unanswered';

/**
 * Why an order is not carried out.
 *   invalid      it is malformed
 *   stale-epoch  another leader is known; `epoch` is its
 *   superseded   a later order for the same owner is known
 *   failed       it was tried: there is no connection; `failure` says why
 *   too-many     no room for more owners
 */
export type OrderFault =
  | { readonly why: 'invalid' | 'superseded' | 'too-many' }
  | { readonly why: 'stale-epoch'; readonly epoch: number }
  | { readonly why: 'failed'; readonly failure: DialFailure };

/**
 * Why a trunk cannot be opened: `already-exists`: both sides open one at once, and the other side's stays;
 * `not-this-gateway`: another boot or name was meant; `stopping`; `too-many`: a limit; `invalid`: a malformed message;
 * `timeout`; `unreachable`: the other side cannot be connected to, or refused; `declared-dead`: the leader has declared
 * the caller's id dead; `version`: the other side's protocol version is not compatible with ours; `not-loopback`:
 * without certificates only gateways on this host may be connected to.
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

/** The data of an error, by its code. */
interface LinkGatewayErrorData {
  /** A connection from a trusted proxy has no valid PROXY header. */
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

/** True if `thrown` is a LinkGatewayError with this code. */
export function isFailed<Code extends LinkGatewayErrorCode>(
  thrown: unknown,
  code: Code,
): thrown is LinkGatewayError<Code> {
  return thrown instanceof LinkGatewayError && thrown.code === code;
}
