import {
  Client,
  Metadata,
  type MethodDefinition,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type ServiceError,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import type { ChannelSecurity } from '../tls/tls-credentials.ts';
import { createClient } from './grpc-client.ts';

/** Header of an answer: the address of the replica that has given it, if that is another one or if there could be several. */
export const REPLICA_HEADER = 'spanmesh-replica';
/** Header of an answer: what that replica is, `leader`, `standby` or `taking-over`. */
export const ROLE_HEADER = 'spanmesh-role';
/** Header of an answer: how old what it shows is at most, ms. */
export const LAG_HEADER = 'spanmesh-lag-ms';
/** Header of a call that a replica has passed on: it is not passed on again. */
export const FORWARDED_HEADER = 'spanmesh-forwarded';
/** Calls passed on at a time: each is a call at the leader, too. */
export const MAX_FORWARDED_CALLS = 2000;

type Unary = (call: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>) => void;
type Streaming = (call: ServerWritableStream<unknown, unknown>) => void;

/** A service as it is to be served. */
export interface ServedService {
  readonly definition: ServiceDefinition;
  readonly implementation: object;
}

/** An answer as it came. A later version of the leader may say more in it than this one knows. */
class PassedOn {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

export interface ForwarderOptions {
  /** `host:port` of the leader's service port; null: this replica answers itself, if only that nobody leads. */
  readonly leader: () => string | null;
  readonly security: ChannelSecurity;
}

/**
 * Makes any replica behind one address answer for all: calls of an API are passed on to the replica that leads, unary ones and
 * streams to the client, with their requests and answers as they came: this replica need not understand all that is in them. Whoever may
 * call has been asked by the replica that was called; between replicas certificates count.
 */
export class Forwarder {
  /** Calls passed on so far. */
  forwarded = 0;
  readonly #options: ForwarderOptions;
  readonly #active = new Map<{ abort(why: string): void }, string>();
  #client: Client | null = null;
  #address = '';
  /** What requests were decoded from. */
  readonly #bytes = new WeakMap<object, Buffer>();

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  /**
   * The service, for a server: the implementation is asked when this replica leads, and when it knows of nobody who does, and for
   * methods of which `answersItself` says so.
   */
  wrap(
    definition: ServiceDefinition,
    implementation: object,
    answersItself: (method: string) => boolean = () => false,
  ): ServedService {
    const own = implementation as Record<string, Unary | Streaming>;
    const wrapped: Record<string, Unary | Streaming> = {};
    const methods: Record<string, MethodDefinition<unknown, unknown>> = {};
    for (const [name, method] of Object.entries(definition)) {
      methods[name] = this.#keepingBytes(method);
      const handler = own[name];
      if (handler === undefined || method.requestStream) continue;
      wrapped[name] = method.responseStream
        ? (call: ServerWritableStream<unknown, unknown>) => {
            const leader = answersItself(name) ? null : this.#leaderFor(call.metadata);
            if (leader === null) (handler as Streaming)(call);
            else this.#stream(method, call, leader);
          }
        : (call: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>) => {
            const leader = answersItself(name) ? null : this.#leaderFor(call.metadata);
            if (leader === null) (handler as Unary)(call, callback);
            else this.#unary(method, call, callback, leader);
          };
    }
    return { definition: methods, implementation: wrapped };
  }

  /** Another leads, or nobody: calls that wait for the one before would wait for as long as its connection lives. */
  leaderChanged(): void {
    const leader = this.#options.leader();
    for (const [call, address] of [...this.#active]) {
      if (address !== leader) call.abort('The leader has changed: call again.');
    }
    if (leader === this.#address) return;
    this.#client?.close();
    this.#client = null;
  }

  stop(): void {
    for (const call of [...this.#active.keys()]) call.abort('This replica stops: call again.');
    this.#client?.close();
    this.#client = null;
  }

  #leaderFor(metadata: Metadata): string | null {
    return metadata.get(FORWARDED_HEADER).length > 0 ? null : this.#options.leader();
  }

  #keepingBytes(method: MethodDefinition<unknown, unknown>): MethodDefinition<unknown, unknown> {
    return {
      ...method,
      requestDeserialize: (bytes) => {
        const request = method.requestDeserialize(bytes);
        this.#bytes.set(request as object, bytes);
        return request;
      },
      responseSerialize: (answer) => (answer instanceof PassedOn ? answer.bytes : method.responseSerialize(answer)),
    };
  }

  /** A request as it came. */
  #bytesOf(method: MethodDefinition<unknown, unknown>, request: unknown): Buffer {
    return this.#bytes.get(request as object) ?? method.requestSerialize(request);
  }

  #unary(
    method: MethodDefinition<unknown, unknown>,
    call: ServerUnaryCall<unknown, unknown>,
    callback: sendUnaryData<unknown>,
    leader: string,
  ): void {
    if (this.#isFull()) {
      callback(tooMany());
      return;
    }
    let done = false;
    const end = (error: Partial<ServiceError> | null, answer?: unknown): void => {
      if (done) return;
      done = true;
      this.#active.delete(active);
      if (error !== null) callback(error);
      else callback(null, answer);
    };
    const upstream = this.#clientOf(leader).makeUnaryRequest(
      method.path,
      asItIs,
      passedOn,
      this.#bytesOf(method, call.request),
      marked(),
      { deadline: call.getDeadline() },
      (error, answer) => end(error === null ? null : shown(error, leader), answer),
    );
    const active = {
      abort: (why: string) => {
        end({ code: status.UNAVAILABLE, details: why });
        upstream.cancel();
      },
    };
    this.#active.set(active, leader);
    this.forwarded++;
    call.sendMetadata(byLeader(leader));
    call.on('cancelled', () => {
      end({ code: status.CANCELLED, details: 'cancelled' });
      upstream.cancel();
    });
  }

  #stream(
    method: MethodDefinition<unknown, unknown>,
    call: ServerWritableStream<unknown, unknown>,
    leader: string,
  ): void {
    if (this.#isFull()) {
      call.emit('error', tooMany());
      return;
    }
    const upstream = this.#clientOf(leader).makeServerStreamRequest(
      method.path,
      asItIs,
      passedOn,
      this.#bytesOf(method, call.request),
      marked(),
      { deadline: call.getDeadline() },
    );
    let done = false;
    const end = (error: Partial<ServiceError> | null): void => {
      if (done) return;
      done = true;
      this.#active.delete(active);
      if (error === null) call.end();
      else call.emit('error', Object.assign(new Error(error.details), error));
    };
    const active = {
      abort: (why: string) => {
        end({ code: status.UNAVAILABLE, details: why });
        upstream.cancel();
      },
    };
    this.#active.set(active, leader);
    this.forwarded++;
    call.sendMetadata(byLeader(leader));
    // A client that reads slowly slows the leader down, not fills this replica.
    upstream.on('data', (message) => {
      if (!done && !call.write(message)) upstream.pause();
    });
    call.on('drain', () => upstream.resume());
    upstream.on('end', () => end(null));
    upstream.on('error', (error: ServiceError) => end(shown(error, leader)));
    call.on('cancelled', () => {
      done = true;
      this.#active.delete(active);
      upstream.cancel();
    });
  }

  #isFull(): boolean {
    return this.#active.size >= MAX_FORWARDED_CALLS;
  }

  #clientOf(leader: string): Client {
    if (this.#client === null || this.#address !== leader) {
      this.#client?.close();
      this.#client = createClient(Client, leader, { security: this.#options.security });
      this.#address = leader;
    }
    return this.#client;
  }
}

function asItIs(bytes: Buffer): Buffer {
  return bytes;
}

function passedOn(bytes: Buffer): PassedOn {
  return new PassedOn(bytes);
}

function marked(): Metadata {
  const metadata = new Metadata();
  metadata.set(FORWARDED_HEADER, '1');
  return metadata;
}

/** The headers that say who has answered. `lagMs`: a whole number. */
export function answeredBy({ address, role, lagMs }: { address: string; role: string; lagMs: number }): Metadata {
  const metadata = new Metadata();
  metadata.set(REPLICA_HEADER, address);
  metadata.set(ROLE_HEADER, role);
  metadata.set(LAG_HEADER, String(lagMs));
  return metadata;
}

function byLeader(address: string): Metadata {
  return answeredBy({ address, role: 'leader', lagMs: 0 });
}

/** What the leader says is passed on; that it cannot be reached is said in our words. */
function shown({ code, details }: ServiceError, leader: string): Partial<ServiceError> {
  if (code !== status.UNAVAILABLE) return { code, details };
  return { code, details: `The leader at ${leader} does not answer: try again. (${details})` };
}

function tooMany(): Error & Partial<ServiceError> {
  const details = `${MAX_FORWARDED_CALLS} calls are being passed on to the leader already: try again later.`;
  return Object.assign(new Error(details), { code: status.RESOURCE_EXHAUSTED, details });
}
