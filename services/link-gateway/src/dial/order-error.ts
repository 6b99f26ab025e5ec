import type { DialErrorCode } from './dialler.ts';

/** Why no connection stands: as a dial fails, the peer closed it or did not answer our LNK_CONN. */
export type DialFailure = DialErrorCode | 'closed' | 'unanswered';

/**
 * Why an order is not carried out.
 *   stale-epoch  another leader has been heard; `epoch` is its
 *   superseded   a later order for the same owner has been heard
 *   failed       it was tried: no connection stands
 *   too-many     no room for more owners
 */
export type OrderErrorCode = 'stale-epoch' | 'superseded' | 'failed' | 'too-many';

export class OrderError extends Error {
  override readonly name = 'OrderError';
  readonly code: OrderErrorCode;
  /** With stale-epoch: the highest that was heard. */
  readonly epoch: number;
  /** With failed. */
  readonly failure: DialFailure | null;

  constructor(
    code: OrderErrorCode,
    message: string,
    { epoch = 0, failure = null, cause }: { epoch?: number; failure?: DialFailure | null; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.code = code;
    this.epoch = epoch;
    this.failure = failure;
  }
}
