import type { DialRequest, DialResponse, HangupRequest, WatchMediaResponse } from '@spanmesh/proto/v1/dial';

/**
 * Why a gateway did not do what it was told.
 *   failed       it tried: there is no connection
 *   stale-epoch  it has heard of a leader of the epoch `epoch`
 *   superseded   it has heard a later order for the owner
 *   unknown      anything else: the outcome of the order is not known
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

/** A watch of media and dialled connections that can be ended. */
export interface MediaStream {
  cancel(): void;
}

/** Receives the messages of a watch. After `ended` nothing follows. */
export interface MediaSink {
  message(response: WatchMediaResponse): void;
  ended(error: OrderError): void;
}

/** The calls from volconf to one gateway (dial.proto). All of them reject with OrderError. */
export interface GatewayPort {
  dial(request: DialRequest): Promise<DialResponse>;
  hangup(request: HangupRequest): Promise<void>;
  watch(epoch: number, sink: MediaSink): MediaStream;
  /** Ends all calls that are under way. */
  close(): void;
}
