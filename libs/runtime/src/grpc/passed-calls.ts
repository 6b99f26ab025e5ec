import {
  Client,
  type Metadata,
  type MethodDefinition,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { apiPrincipal } from '../access/api-principal.ts';
import { type CallOfSomebody, callerOf, passingOn } from '../access/passed-on-caller.ts';
import { type Holding, Pool, type PoolLimit } from '../shares/pool.ts';
import type { ChannelSecurity } from '../tls/tls-credentials.ts';
import { TRACE_HEADER, traceparent } from '../trace/trace-context.ts';
import { traceOf } from '../trace/traced-calls.ts';
import { createClient } from './grpc-client.ts';

/** Calls passed on at a time: each is also a call at the other process. */
export const MAX_FORWARDED_CALLS = 2000;
/** Calls passed on at a time for one user, or for one address if no user is known. */
export const MAX_FORWARDED_CALLS_PER_PRINCIPAL = 1000;

/** The process to which a call is passed on. */
export interface Destination {
  /** `host:port` of its service port. */
  readonly address: string;
  readonly security: ChannelSecurity;
  /** The name of that process, for people: `leader`, `gateway vol1`. */
  readonly what: string;
  /** Headers to add to the answer. */
  readonly headers: Metadata;
}

/** The methods that calls of all kinds have on the server's side. */
interface Call extends CallOfSomebody {
  sendMetadata(metadata: Metadata): void;
  on(event: 'cancelled', listener: () => void): unknown;
}
type Method = MethodDefinition<unknown, unknown>;
/** Turns the bytes of an answer into the form that the server's serializer takes. */
type Wrap = (bytes: Buffer) => unknown;

/** A call that has been passed on and has not ended. */
interface Active {
  readonly address: string;
  abort(failure: Failure): void;
}

interface Failure {
  readonly code: status;
  readonly details: string;
}

interface Open {
  readonly client: Client;
  calls: number;
}

export interface PassedCallsOptions {
  readonly max?: number;
  readonly share?: number;
}

/**
 * Calls of users that other processes answer. Their messages pass as bytes; of the caller's headers only those pass
 * that say who he is. The number of open calls is limited, in all and for each principal; when there is no place left,
 * the principal with most gives way.
 */
export class PassedCalls {
  /** Calls passed on so far. */
  passed = 0;
  readonly #pool: Pool<Active>;
  readonly #active = new Map<Active, Holding<Active>>();
  readonly #clients = new Map<string, Open>();
  readonly #max: number;
  #latest = '';

  constructor(
    { max = MAX_FORWARDED_CALLS, share = MAX_FORWARDED_CALLS_PER_PRINCIPAL }: PassedCallsOptions = {},
    { limited = () => {} }: { readonly limited?: (limit: PoolLimit) => void } = {},
  ) {
    this.#max = max;
    this.#pool = new Pool(
      { resource: 'calls passed on', total: max, share },
      { evict: (call) => call.abort(this.#tooMany()), limited },
    );
  }

  /** Calls that are open. */
  get size(): number {
    return this.#active.size;
  }

  /** How often a limit was reached. */
  get limits(): number {
    return this.#pool.limits;
  }

  /** Passes on a unary call. `request`: its bytes. */
  unary(
    method: Method,
    call: ServerUnaryCall<unknown, unknown>,
    callback: sendUnaryData<unknown>,
    { to, request, wrap }: { readonly to: Destination; readonly request: Buffer; readonly wrap: Wrap },
  ): void {
    const end = (error: Failure | null, answer?: unknown): void => {
      if (error !== null) callback(error);
      else callback(null, answer);
    };
    const active = this.#begin(call, to, end);
    if (active === null) return;
    const upstream = active.client.makeUnaryRequest(
      method.path,
      asItIs,
      wrap,
      request,
      goingOn(call),
      { deadline: call.getDeadline() },
      (error, answer) => active.end(error === null ? null : shown(error, to), answer),
    );
    active.cancels(() => upstream.cancel());
  }

  stream(
    method: Method,
    call: ServerWritableStream<unknown, unknown>,
    { to, request, wrap }: { readonly to: Destination; readonly request: Buffer; readonly wrap: Wrap },
  ): void {
    const active = this.#begin(call, to, ending(call));
    if (active === null) return;
    const { path } = method;
    const deadline = { deadline: call.getDeadline() };
    const headers = goingOn(call);
    const upstream = active.client.makeServerStreamRequest(path, asItIs, wrap, request, headers, deadline);
    active.cancels(() => upstream.cancel());
    // A client that reads slowly slows the other process down, instead of filling this one's memory.
    upstream.on('data', (message) => {
      if (!active.isOver && !call.write(message)) upstream.pause();
    });
    call.on('drain', () => upstream.resume());
    upstream.on('end', () => active.end(null));
    upstream.on('error', (error: ServiceError) => active.end(shown(error, to)));
  }

  /** Passes on messages both ways, each at the speed of its reader. Requests are bytes. */
  duplex(
    method: Method,
    call: ServerDuplexStream<unknown, unknown>,
    { to, wrap }: { readonly to: Destination; readonly wrap: Wrap },
  ): void {
    const active = this.#begin(call, to, ending(call));
    if (active === null) return;
    const deadline = { deadline: call.getDeadline() };
    const headers = goingOn(call);
    const upstream = active.client.makeBidiStreamRequest(method.path, asItIs, wrap, headers, deadline);
    active.cancels(() => upstream.cancel());
    call.on('data', (message: Buffer) => {
      if (!active.isOver && !upstream.write(message)) call.pause();
    });
    upstream.on('drain', () => call.resume());
    call.on('end', () => {
      if (!active.isOver) upstream.end();
    });
    upstream.on('data', (message) => {
      if (!active.isOver && !call.write(message)) upstream.pause();
    });
    call.on('drain', () => upstream.resume());
    upstream.on('end', () => active.end(null));
    upstream.on('error', (error: ServiceError) => active.end(shown(error, to)));
  }

  /**
   * Ends calls at other addresses than this, which would wait for as long as their connections live. Null: ends all.
   */
  abortOthers(address: string | null, why: string): void {
    for (const call of [...this.#active.keys()]) {
      if (call.address !== address) call.abort({ code: status.UNAVAILABLE, details: why });
    }
    if (address !== this.#latest) this.#latest = '';
    this.#closeIdle();
  }

  stop(): void {
    this.abortOthers(null, 'This process stops: call again.');
  }

  #begin(call: Call, to: Destination, end: (error: Failure | null, answer?: unknown) => void): Passing | null {
    const open = this.#clientOf(to);
    const active = new Passing(to.address, open.client, (error, answer) => {
      const holding = this.#active.get(active);
      this.#active.delete(active);
      if (holding !== undefined) this.#pool.close(holding);
      open.calls--;
      end(error, answer);
      this.#closeIdle();
    });
    const holding = this.#pool.open(apiPrincipal(call), active);
    open.calls++;
    this.#active.set(active, holding);
    if (this.#pool.take(holding) !== null) {
      active.abort(this.#tooMany());
      return null;
    }
    this.passed++;
    call.sendMetadata(to.headers.clone());
    call.on('cancelled', () => active.abort({ code: status.CANCELLED, details: 'cancelled' }));
    return active;
  }

  #clientOf({ address, security }: Destination): Open {
    let open = this.#clients.get(address);
    if (open === undefined) {
      open = { client: createClient(Client, address, { security }), calls: 0 };
      this.#clients.set(address, open);
    }
    this.#latest = address;
    this.#closeIdle();
    return open;
  }

  /** Closes connections without calls, except the one used last. */
  #closeIdle(): void {
    for (const [address, { client, calls }] of this.#clients) {
      if (calls > 0 || address === this.#latest) continue;
      this.#clients.delete(address);
      client.close();
    }
  }

  #tooMany(): Failure {
    const details = `${this.#max} calls are being passed on already, or too many of yours: try again later.`;
    return { code: status.RESOURCE_EXHAUSTED, details };
  }
}

/** A call that is being passed on; it ends once. */
class Passing implements Active {
  readonly address: string;
  readonly client: Client;
  isOver = false;
  readonly #ended: (error: Failure | null, answer?: unknown) => void;
  #cancel: () => void = () => {};

  constructor(address: string, client: Client, ended: (error: Failure | null, answer?: unknown) => void) {
    this.address = address;
    this.client = client;
    this.#ended = ended;
  }

  /** Sets the function that cancels the call at the other process. */
  cancels(cancel: () => void): void {
    this.#cancel = cancel;
  }

  end(error: Failure | null, answer?: unknown): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#ended(error, answer);
  }

  abort(failure: Failure): void {
    this.end(failure);
    this.#cancel();
  }
}

function asItIs(bytes: Buffer): Buffer {
  return bytes;
}

function ending(call: ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>) {
  return (error: Failure | null): void => {
    if (call.cancelled) return;
    if (error === null) call.end();
    else call.emit('error', Object.assign(new Error(error.details), error));
  };
}

/** The error for the caller: that of the other process, or if it cannot be reached a sentence of our own. */
function shown({ code, details, metadata }: ServiceError, { what, address }: Destination): Failure {
  // Errors of the library itself have no headers, because no process has sent any.
  const isItsOwn = Object.keys(metadata.getMap()).length > 0;
  if (code !== status.UNAVAILABLE || isItsOwn) return { code, details };
  return { code, details: `The ${what} at ${address} does not answer: try again. (${details})` };
}

/** Headers for the other process: who has made the call, and its trace. */
function goingOn(call: CallOfSomebody): Metadata {
  const headers = passingOn(callerOf(call));
  const trace = traceOf(call.metadata);
  if (trace !== null) headers.set(TRACE_HEADER, traceparent(trace));
  return headers;
}
