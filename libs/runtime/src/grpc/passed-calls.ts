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

/** Calls passed on at a time: each is a call at the leader, too. */
export const MAX_FORWARDED_CALLS = 2000;
/** Forwarded calls of one user, or of one address where no name is known. */
export const MAX_FORWARDED_CALLS_PER_PRINCIPAL = 1000;

/** Where a call is passed on to. */
export interface Destination {
  /** `host:port` of its service port. */
  readonly address: string;
  readonly security: ChannelSecurity;
  /** What the call is passed on to, for people: `leader`, `gateway vol1`. */
  readonly what: string;
  /** Headers of the answer. */
  readonly headers: Metadata;
}

/** The part of the server's side that all kinds of calls have. */
interface Call extends CallOfSomebody {
  sendMetadata(metadata: Metadata): void;
  on(event: 'cancelled', listener: () => void): unknown;
}
type Method = MethodDefinition<unknown, unknown>;
/** An answer as it came: what `wrap` makes of it, the server's own serializer takes. */
type Wrap = (bytes: Buffer) => unknown;

/** A call that is passed on and has not ended. */
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
 * Calls of users that other processes answer: their messages pass as bytes, with who has made the call and nothing else of his headers. At
 * most so many at a time, and of one principal; when there is no room the principal who has most gives way.
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

  /** Open now. */
  get size(): number {
    return this.#active.size;
  }

  /** Bounds reached so far. */
  get limits(): number {
    return this.#pool.limits;
  }

  /** `request`: as it came. */
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
    // A client that reads slowly slows the other process down, and does not fill this one.
    upstream.on('data', (message) => {
      if (!active.isOver && !call.write(message)) upstream.pause();
    });
    call.on('drain', () => upstream.resume());
    upstream.on('end', () => active.end(null));
    upstream.on('error', (error: ServiceError) => active.end(shown(error, to)));
  }

  /** Both ways, each at the speed of its reader. Requests come as bytes. */
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

  /** Calls at other addresses than this would wait for as long as their connections live. Null: at whichever. */
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

  /** The connection that was used last is kept. */
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

/** One call on its way; it ends once. */
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

  /** Ends the call at the other process. */
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

/** Errors of the other process are passed on; that it cannot be reached is said in our words. */
function shown({ code, details, metadata }: ServiceError, { what, address }: Destination): Failure {
  // The library's own errors have no headers: nobody has sent any.
  const isItsOwn = Object.keys(metadata.getMap()).length > 0;
  if (code !== status.UNAVAILABLE || isItsOwn) return { code, details };
  return { code, details: `The ${what} at ${address} does not answer: try again. (${details})` };
}

/** Headers of a call that goes on: who has made it, and the trace that it is in. */
function goingOn(call: CallOfSomebody): Metadata {
  const headers = passingOn(callerOf(call));
  const trace = traceOf(call.metadata);
  if (trace !== null) headers.set(TRACE_HEADER, traceparent(trace));
  return headers;
}
