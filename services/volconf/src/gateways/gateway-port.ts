import type { DialRequest, DialResponse, HangupRequest, WatchMediaResponse } from '@spanmesh/proto/v1/dial';

/**
 * Why a gateway did not do what it was told.
 *   failed       it tried: there is no connection
 *   stale-epoch  it has heard of a leader of the epoch `epoch`
 *   superseded   it has heard a later order for the owner
 *   unknown      anything else: what has become of the order is not known
 */
export type OrderErrorCode = 'failed' | 'stale-epoch' | 'superseded' | 'unknown';

export class OrderError extends Error {
  override readonly name = 'OrderError';
  readonly code: OrderErrorCode;
  /** With stale-epoch. */
  readonly epoch: number;

  constructor(code: OrderErrorCode, message: string, { epoch = 0, cause }: { epoch?: number; cause?: unknown } = {}) {
    super(message, { cause });
    this.code = code;
    this.epoch = epoch;
  }
}

/** A watch of media and dialled connections. */
export interface MediaStream {
  cancel(): void;
}

/** What a watch tells. After `ended` nothing comes. */
export interface MediaSink {
  message(response: WatchMediaResponse): void;
  ended(error: OrderError): void;
}

/** One gateway, as volconf orders from it (dial.proto). Everything rejects with OrderError. */
export interface GatewayPort {
  dial(request: DialRequest): Promise<DialResponse>;
  hangup(request: HangupRequest): Promise<void>;
  watch(epoch: number, sink: MediaSink): MediaStream;
  /** Gives everything up that is under way. */
  close(): void;
}
