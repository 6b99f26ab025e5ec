import { status } from '@grpc/grpc-js';
import type { AttachRequest, AttachResponse, Commands, Hello, Refused } from '@spanmesh/proto/v1/gateway_control';
import type { GatewayCheck } from '@spanmesh/runtime/tls/gateway-certificate';
import type { Gateway } from '../trees/gateway.ts';
import { Snapshot } from './snapshot.ts';

/** Of the server's side of a gRPC stream, what is needed here. */
export interface AttachStream {
  write(response: AttachResponse): boolean;
  end(): void;
  readonly cancelled?: boolean;
  on(event: 'data', fn: (request: AttachRequest) => void): unknown;
  on(event: 'end' | 'cancelled' | 'drain', fn: () => void): unknown;
  on(event: 'error', fn: (error: Error) => void): unknown;
  emit(event: 'error', error: Error): boolean;
}

/**
 * Where the stream of a gateway stands.
 *   greeting   opened, no Hello yet
 *   waiting    Hello came; the leader is taking a higher epoch because of it
 *   snapshot   Welcome was sent, chunks come
 *   live       the snapshot was complete: deltas come, commands go
 *   ended      by either side; nothing is done any more
 */
export type AttachmentState =
  | { readonly kind: 'greeting' }
  | { readonly kind: 'waiting' }
  | { readonly kind: 'snapshot'; readonly snapshot: Snapshot }
  | { readonly kind: 'live' }
  | { readonly kind: 'ended' };

/** What an attachment is to be judged by. */
export interface AttachmentHost {
  hello(attachment: Attachment, hello: Hello): void;
  snapshot(attachment: Attachment, all: Snapshot['all']): void;
  delta(attachment: Attachment, change: NonNullable<AttachRequest['delta']>): void;
  drained(attachment: Attachment): void;
  /** The stream is over. `goodbye`: the gateway ended it in good order. */
  ended(attachment: Attachment, goodbye: boolean): void;
  failed(attachment: Attachment, error: unknown): void;
}

/** One stream of a gateway: what may come when. */
export class Attachment {
  /** Set when Hello was accepted. */
  gateway: Gateway | undefined;
  /** Other gateways (ids) that Hello has named. */
  named: readonly string[] = [];
  /** What Welcome has said of the replicas. */
  replicas: readonly string[] = [];
  /** For which gateways the stream's other side may speak. */
  readonly mayBe: GatewayCheck;
  readonly #stream: AttachStream;
  readonly #host: AttachmentHost;
  #state: AttachmentState = { kind: 'greeting' };
  /** Deltas taken in, and those that the gateway was told of. */
  #taken = 0;
  #takenTold = 0;

  constructor(stream: AttachStream, host: AttachmentHost, mayBe: GatewayCheck) {
    this.mayBe = mayBe;
    this.#stream = stream;
    this.#host = host;
    stream.on('data', (request) => this.#guard(() => this.#take(request)));
    stream.on('drain', () => this.#guard(() => this.#drained()));
    // On a broken stream `end` may come as well as `cancelled`, in this order: the difference shows one turn later.
    stream.on('end', () => setImmediate(() => this.#over(stream.cancelled !== true)));
    stream.on('cancelled', () => this.#over(false));
    stream.on('error', () => this.#over(false));
  }

  get state(): AttachmentState['kind'] {
    return this.#state.kind;
  }

  /** Hello was accepted, but the epoch is not high enough yet. */
  wait(): void {
    if (this.#state.kind === 'greeting') this.#state = { kind: 'waiting' };
  }

  welcome(welcome: NonNullable<AttachResponse['welcome']>): void {
    if (this.#state.kind === 'ended') return;
    this.#state = { kind: 'snapshot', snapshot: new Snapshot() };
    this.replicas = welcome.replicas;
    this.#stream.write({ welcome });
  }

  /** False: no more until AttachmentHost.drained. */
  write(commands: Commands): boolean {
    return this.#state.kind === 'ended' || this.#stream.write({ commands });
  }

  /** Tells which deltas have been taken in, if there are more than the gateway was told of. */
  tellTaken(): void {
    if (this.#taken === this.#takenTold || this.#state.kind === 'ended') return;
    this.#takenTold = this.#taken;
    this.#stream.write({ taken: { deltas: this.#taken } });
  }

  /** Ends the stream with an error; before Welcome, `refused` says why to whoever is no human. The host is not told. */
  refuse(code: status, details: string, refused?: Refused): void {
    const { kind } = this.#state;
    if (kind === 'ended') return;
    if (refused !== undefined && (kind === 'greeting' || kind === 'waiting')) this.#stream.write({ refused });
    this.#state = { kind: 'ended' };
    this.#stream.emit('error', Object.assign(new Error(details), { code, details }));
  }

  #take(request: AttachRequest): void {
    const state = this.#state;
    switch (state.kind) {
      case 'greeting':
        if (request.hello !== undefined) this.#host.hello(this, request.hello);
        else this.#protocolError('The first message must be Hello.');
        return;
      case 'waiting':
        this.#protocolError('After Hello, wait for Welcome.');
        return;
      case 'snapshot':
        if (request.snapshotEnd !== undefined) {
          this.#state = { kind: 'live' };
          this.#host.snapshot(this, state.snapshot.all);
        } else if (request.snapshot === undefined) this.#protocolError('After Welcome, send the snapshot and its end.');
        else if (!state.snapshot.add(request.snapshot)) {
          this.#fail(status.RESOURCE_EXHAUSTED, 'The snapshot is larger than a leader takes.');
        }
        return;
      case 'live':
        if (request.delta !== undefined) {
          this.#host.delta(this, request.delta);
          this.#taken++;
        } else this.#protocolError('After the end of the snapshot, send deltas only.');
        return;
      case 'ended':
        return;
    }
  }

  #drained(): void {
    if (this.#state.kind !== 'ended') this.#host.drained(this);
  }

  #protocolError(details: string): void {
    this.#fail(status.INVALID_ARGUMENT, details);
  }

  #fail(code: status, details: string): void {
    this.refuse(code, details);
    this.#host.ended(this, false);
  }

  #over(goodbye: boolean): void {
    if (this.#state.kind === 'ended') return;
    const live = this.#state.kind === 'live';
    this.#state = { kind: 'ended' };
    this.#stream.end();
    this.#host.ended(this, goodbye && live);
  }

  /** A mistake of ours must cost this stream, not the leader. */
  #guard(fn: () => void): void {
    try {
      fn();
    } catch (error) {
      this.#host.failed(this, error);
      this.#fail(status.INTERNAL, 'The leader failed to take a message in: attach again.');
    }
  }
}
