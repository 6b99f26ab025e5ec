import { Metadata, type MethodDefinition, type ServiceDefinition, status } from '@grpc/grpc-js';
import type { PartialStatusObject } from '@grpc/grpc-js/build/src/call-interface.js';
import {
  ServerDuplexStreamImpl,
  ServerUnaryCallImpl,
  ServerWritableStreamImpl,
  serverErrorToStatus,
} from '@grpc/grpc-js/build/src/server-call.js';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js/build/src/server-interceptors.js';
import { type GrpcFrame, Keepalive, Outflow } from './grpc-channel.ts';
import type { SimProcess } from './kernel.ts';
import type { End, Network } from './network.ts';

type Method = MethodDefinition<unknown, unknown>;
type Handler = (...args: never[]) => void;

/**
 * The simulated GrpcServer of libs/runtime, to which services add their implementations. Listens on one port of its
 * process's host.
 */
export class SimGrpcServer {
  readonly process: SimProcess;
  readonly #methods = new Map<string, { readonly definition: Method; readonly handler: Handler }>();

  constructor(process: SimProcess) {
    this.process = process;
  }

  /** Returns nothing useful: no service looks at it. */
  addService(definition: ServiceDefinition, implementation: object): never {
    const handlers = implementation as Record<string, Handler>;
    for (const [name, method] of Object.entries(definition)) {
      const handler = handlers[name];
      if (handler !== undefined)
        this.#methods.set(method.path, { definition: method, handler: handler.bind(implementation) });
    }
    return undefined as never;
  }

  listen(network: Network, port: number): void {
    const { process } = this;
    const got = network.listen({ process, accept: (end) => this.#accept(end) }, process.host, port);
    if (got === null) throw new Error(`${process.host}:${port} is taken`);
  }

  #accept(end: End): void {
    const calls = new Map<number, ServerCall>();
    const over = (): void => {
      keepalive.stop();
      for (const call of [...calls.values()]) call.cancelled();
      calls.clear();
    };
    const keepalive = new Keepalive(
      this.process,
      () => end.send({ kind: 'ping' } satisfies GrpcFrame, 'ping'),
      () => {
        end.reset();
        over();
      },
    );
    end.lost = over;
    end.receive = (item) => {
      keepalive.heard();
      const frame = item as GrpcFrame;
      if (frame.kind === 'ping') end.send({ kind: 'pong' } satisfies GrpcFrame, 'pong');
      else if (frame.kind === 'headers') this.#begin(end, frame, calls);
      else if ('stream' in frame) calls.get(frame.stream)?.receive(frame);
    };
  }

  #begin(
    end: End,
    { stream, method, metadata }: GrpcFrame & { readonly kind: 'headers' },
    calls: Map<number, ServerCall>,
  ): void {
    const found = this.#methods.get(method);
    const call = new ServerCall(end, stream, found?.definition ?? null, () => calls.delete(stream));
    calls.set(stream, call);
    if (found === undefined) {
      call.sendStatus({ code: status.UNIMPLEMENTED, details: `The server does not implement the method ${method}` });
      return;
    }
    serve(call, found.definition, found.handler as never, metadata);
  }
}

/** Calls a handler with grpc-js's call object for the kind of the method. */
function serve(
  call: ServerCall,
  { path, requestStream, responseStream }: Method,
  handler: (call: unknown, done?: (error: never, value: unknown, trailer?: Metadata) => void) => void,
  metadata: Metadata,
): void {
  const surface = call as unknown as ServerInterceptingCallInterface;
  if (requestStream) {
    const stream = new ServerDuplexStreamImpl(path, surface, metadata);
    call.listener = {
      message: (message) => stream.push(message),
      halfClose: () => stream.push(null),
      cancel: () => {
        stream.cancelled = true;
        stream.emit('cancelled', 'cancelled');
        stream.destroy();
      },
    };
    handler(stream);
    return;
  }
  let request: unknown;
  let made: { cancelled: boolean; emit(event: string, ...args: unknown[]): boolean } | null = null;
  call.listener = {
    message: (message) => {
      request = message;
      call.startRead();
    },
    halfClose: () => {
      if (responseStream) {
        const stream = new ServerWritableStreamImpl(path, surface, metadata, request);
        made = stream;
        handler(stream);
        return;
      }
      const unary = new ServerUnaryCallImpl(path, surface, metadata, request);
      made = unary;
      handler(unary, (error, value, trailer) => {
        if (error) call.sendStatus(serverErrorToStatus(error, trailer));
        else
          call.sendMessage(value, () => call.sendStatus({ code: status.OK, details: 'OK', metadata: trailer ?? null }));
      });
    },
    cancel: () => {
      if (made === null) return;
      made.cancelled = true;
      made.emit('cancelled', 'cancelled');
    },
  };
  call.startRead();
}

interface CallListener {
  message(message: unknown): void;
  halfClose(): void;
  cancel(): void;
}

/** The server's side of one call, as grpc-js's server call classes use it. */
class ServerCall {
  listener: CallListener = { message() {}, halfClose() {}, cancel() {} };
  readonly #end: End;
  readonly #stream: number;
  readonly #method: Method | null;
  readonly #ended: () => void;
  readonly #outflow: Outflow;
  readonly #inbox: Buffer[] = [];
  #reads = 0;
  #isHalfClosed = false;
  #saidHeaders = false;
  #isOver = false;

  constructor(end: End, stream: number, method: Method | null, ended: () => void) {
    this.#end = end;
    this.#stream = stream;
    this.#method = method;
    this.#ended = ended;
    this.#outflow = new Outflow((bytes) => this.#send({ kind: 'message', stream, bytes }, bytes));
  }

  receive(frame: GrpcFrame): void {
    if (this.#isOver) return;
    switch (frame.kind) {
      case 'message':
        this.#inbox.push(frame.bytes);
        this.#give();
        return;
      case 'half-close':
        this.#isHalfClosed = true;
        this.#give();
        return;
      case 'credit':
        this.#outflow.credit(frame.bytes ?? 0);
        return;
      case 'cancel':
        this.cancelled();
    }
  }

  cancelled(): void {
    if (this.#isOver) return;
    this.#over();
    this.listener.cancel();
  }

  startRead(): void {
    this.#reads++;
    this.#give();
  }

  sendMetadata(metadata: Metadata): void {
    if (this.#saidHeaders || this.#isOver) return;
    this.#saidHeaders = true;
    this.#send({ kind: 'answered', stream: this.#stream, metadata: metadata.clone() }, 'answered');
  }

  sendMessage(message: unknown, done: () => void): void {
    if (this.#isOver || this.#method === null) return;
    this.sendMetadata(new Metadata());
    this.#outflow.write(this.#method.responseSerialize(message), done);
  }

  sendStatus({ code = status.OK, details = '', metadata }: Partial<PartialStatusObject>): void {
    this.#outflow.after(() => {
      if (this.#isOver) return;
      this.#over();
      const said = { code, details, metadata: metadata ?? new Metadata() };
      this.#send({ kind: 'status', stream: this.#stream, status: said }, `${code}${details}`);
    });
  }

  getPeer(): string {
    return `${this.#end.other.host}:${this.#end.other.port}`;
  }

  getDeadline(): number {
    return Number.POSITIVE_INFINITY;
  }

  getHost(): string {
    return this.#end.host;
  }

  getAuthContext(): object {
    return {};
  }

  #give(): void {
    // One message for each read, as grpc-js does it.
    while (this.#reads > 0 && this.#inbox.length > 0 && !this.#isOver) {
      this.#reads--;
      const bytes = this.#inbox.shift()!;
      this.#send({ kind: 'credit', stream: this.#stream, bytes: bytes.length }, 'credit');
      this.listener.message(this.#method?.requestDeserialize(bytes));
    }
    if (!this.#isHalfClosed || this.#inbox.length > 0 || this.#isOver) return;
    this.#isHalfClosed = false;
    this.listener.halfClose();
  }

  #send(frame: GrpcFrame, bytes: Uint8Array | string): void {
    this.#end.send(frame, bytes);
  }

  #over(): void {
    this.#isOver = true;
    this.#ended();
  }
}
