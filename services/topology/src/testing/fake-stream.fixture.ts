import { EventEmitter } from 'node:events';
import type { AttachRequest, AttachResponse } from '@spanmesh/proto/v1/gateway_control';

/** The leader's end of a gateway's stream, in memory; a test acts as the gateway by `sent` and `deliver`. */
export class FakeStream extends EventEmitter {
  readonly sent: AttachResponse[] = [];
  /**
   * The number of deltas taken in that the leader reported last. It is not in `sent`, as its order to other messages
   * does not matter.
   */
  taken = 0;
  cancelled = false;
  /** The value that `write` returns. */
  accepts = true;
  error: (Error & { code?: number; details?: string }) | undefined;
  ended = false;
  paused = false;

  constructor() {
    super();
    this.on('error', (error) => {
      this.error = error;
    });
  }

  write(response: AttachResponse): boolean {
    if (response.taken === undefined) this.sent.push(response);
    const deltas = response.taken?.deltas ?? response.commands?.taken ?? 0;
    if (deltas > 0) this.taken = deltas;
    return this.accepts;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  end(): void {
    this.ended = true;
  }

  get over(): boolean {
    return this.ended || this.error !== undefined;
  }

  deliver(request: Partial<AttachRequest>): void {
    this.emit('data', request);
  }

  drain(): void {
    this.accepts = true;
    this.emit('drain');
  }

  /** The connection of the stream is lost. */
  break(): void {
    this.cancelled = true;
    this.emit('cancelled');
  }
}
