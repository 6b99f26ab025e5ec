import { status } from '@grpc/grpc-js';
import type { AttachRequest, AttachResponse, Commands, Hello, Refused } from '@spanmesh/proto/v1/gateway_control';
import { Intake, type PausableStream } from '@spanmesh/runtime/grpc/intake';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import type { GatewayCheck } from '@spanmesh/runtime/tls/gateway-certificate';
import type { WorkList } from '@spanmesh/runtime/work-list';
import type { Gateway } from '../trees/gateway.ts';
import { Snapshot } from './snapshot.ts';

/** The part of the server's side of a gRPC stream that is used here. */
export interface AttachStream extends PausableStream {
  write(response: AttachResponse): boolean;
  end(): void;
  readonly cancelled?: boolean;
  on(event: 'data', fn: (request: AttachRequest) => void): unknown;
  on(event: 'end' | 'cancelled' | 'drain', fn: () => void): unknown;
  on(event: 'error', fn: (error: Error) => void): unknown;
  emit(event: 'error', error: Error): boolean;
}

/**
 * State of a gateway's stream.
 *   greeting   opened, no Hello yet
 *   waiting    Hello came; the leader is taking a higher epoch because of it
 *   snapshot   Welcome was sent, chunks come
 *   live       the snapshot was complete: deltas come, commands are sent
 *   ended      by either side; nothing is done any more
 */
export type AttachmentState =
  | { readonly kind: 'greeting' }
  | { readonly kind: 'waiting' }
  | { readonly kind: 'snapshot'; readonly snapshot: Snapshot }
  | { readonly kind: 'live' }
  | { readonly kind: 'ended' };

/** The leader's side of an attachment, which decides on its messages. */
export interface AttachmentHost {
  /** Runs the jobs of all streams in order. */
  readonly work: WorkList;
  hello(attachment: Attachment, hello: Hello): Job<void>;
  snapshot(attachment: Attachment, all: Snapshot['all']): Job<void>;
  delta(attachment: Attachment, change: NonNullable<AttachRequest['delta']>): Job<void>;
  drained(attachment: Attachment): void;
  /** The stream has ended. `goodbye`: the gateway ended it in order. */
  ended(attachment: Attachment, goodbye: boolean): Job<void>;
  failed(attachment: Attachment, error: unknown): void;
}

/**
 * Deltas taken in at which they are reported in a message of their own. A gateway sends as many ahead (Taken in
 * gateway_control.proto), so it never waits for a report that is not sent.
 */
const UNTOLD_DELTAS = 2;

/** One stream of a gateway; it checks that messages come in the order that the protocol allows. */
export class Attachment {
  /** Set when Hello was accepted. */
  gateway: Gateway | undefined;
  /** Ids of the other gateways that Hello has named. */
  named: readonly string[] = [];
  /** The addresses of replicas in Welcome. */
  replicas: readonly string[] = [];
  /** Checks as which gateways the caller of the stream may attach. */
  readonly mayBe: GatewayCheck;
  readonly #stream: AttachStream;
  readonly #host: AttachmentHost;
  #state: AttachmentState = { kind: 'greeting' };
  /** Deltas taken in, for how many of them relays are selected, and how many have been reported to the gateway. */
  #taken = 0;
  #takenSelected = 0;
  #takenTold = 0;

  constructor(stream: AttachStream, host: AttachmentHost, mayBe: GatewayCheck) {
    this.mayBe = mayBe;
    this.#stream = stream;
    this.#host = host;
    const intake = new Intake(stream, host.work);
    stream.on('data', (request) => intake.take(this.#guarded(this.#take(request))));
    stream.on('drain', () => this.#drained());
    const over = (goodbye: boolean): void => intake.take(this.#over(goodbye));
    // A broken stream may emit `end` before `cancelled`; one turn later it shows which of them it was.
    stream.on('end', () => setImmediate(() => over(stream.cancelled !== true)));
    stream.on('cancelled', () => over(false));
    stream.on('error', () => over(false));
  }

  get state(): AttachmentState['kind'] {
    return this.#state.kind;
  }

  /** Hello was accepted, but the leader's epoch is not high enough yet. */
  wait(): void {
    if (this.#state.kind === 'greeting') this.#become({ kind: 'waiting' });
  }

  welcome(welcome: NonNullable<AttachResponse['welcome']>): void {
    if (this.#state.kind === 'ended') return;
    this.#become({ kind: 'snapshot', snapshot: new Snapshot() });
    this.replicas = welcome.replicas;
    this.#stream.write({ welcome });
  }

  /**
   * Writes commands, and reports with them the deltas for which relays are selected. False: write no more until
   * AttachmentHost.drained.
   */
  write(commands: Commands): boolean {
    if (this.#state.kind === 'ended') return true;
    if (this.#takenSelected > this.#takenTold) {
      commands.taken = this.#takenSelected;
      this.#takenTold = this.#takenSelected;
    }
    return this.#stream.write({ commands });
  }

  /** A selection is complete: the commands that follow may report all deltas taken in so far. */
  selected(): void {
    this.#takenSelected = this.#taken;
  }

  /** Reports how many deltas have been taken in, once commands have left UNTOLD_DELTAS of them unreported. */
  tellTaken(): void {
    if (this.#taken - this.#takenTold < UNTOLD_DELTAS || this.#state.kind === 'ended') return;
    this.#takenTold = this.#taken;
    this.#stream.write({ taken: { deltas: this.#taken } });
  }

  /**
   * Ends the stream with an error; before Welcome, `refused` gives the gateway the reason as a code. The host is not
   * told.
   */
  refuse(code: status, details: string, refused?: Refused): void {
    const { kind } = this.#state;
    if (kind === 'ended') return;
    if (refused !== undefined && (kind === 'greeting' || kind === 'waiting')) this.#stream.write({ refused });
    this.#become({ kind: 'ended' });
    this.#stream.emit('error', Object.assign(new Error(details), { code, details }));
  }

  /** The one place where the state changes. */
  #become(state: AttachmentState): void {
    this.#state = state;
  }

  *#take(request: AttachRequest): Job<void> {
    const state = this.#state;
    switch (state.kind) {
      case 'greeting':
        if (request.hello !== undefined) yield* this.#host.hello(this, request.hello);
        else yield* this.#protocolError('The first message must be Hello.');
        return;
      case 'waiting':
        yield* this.#protocolError('After Hello, wait for Welcome.');
        return;
      case 'snapshot':
        if (request.snapshotEnd !== undefined) {
          this.#become({ kind: 'live' });
          yield* this.#host.snapshot(this, state.snapshot.all);
        } else if (request.snapshot === undefined) {
          yield* this.#protocolError('After Welcome, send the snapshot and its end.');
        } else if (!state.snapshot.add(request.snapshot)) {
          yield* this.#fail(status.RESOURCE_EXHAUSTED, 'The snapshot is larger than a leader takes.');
        }
        return;
      case 'live':
        if (request.delta !== undefined) {
          yield* this.#host.delta(this, request.delta);
          this.#taken++;
        } else yield* this.#protocolError('After the end of the snapshot, send deltas only.');
        return;
      case 'ended':
        return;
    }
  }

  #drained(): void {
    if (this.#state.kind !== 'ended') this.#host.drained(this);
  }

  #protocolError(details: string): Job<void> {
    return this.#fail(status.INVALID_ARGUMENT, details);
  }

  *#fail(code: status, details: string): Job<void> {
    this.refuse(code, details);
    yield* this.#host.ended(this, false);
  }

  *#over(goodbye: boolean): Job<void> {
    if (this.#state.kind === 'ended') return;
    const live = this.#state.kind === 'live';
    this.#become({ kind: 'ended' });
    this.#stream.end();
    yield* this.#host.ended(this, goodbye && live);
  }

  /** An exception ends this stream only, and not the leader. */
  *#guarded(job: Job<void>): Job<void> {
    try {
      yield* job;
    } catch (error) {
      this.#host.failed(this, error);
      yield* this.#fail(status.INTERNAL, 'The leader failed to take a message in: attach again.');
    }
  }
}
