import {
  Metadata,
  type MethodDefinition,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { FORWARDED_HEADER } from '../access/passed-on-caller.ts';
import type { PoolLimit } from '../shares/pool.ts';
import type { ChannelSecurity } from '../tls/tls-credentials.ts';
import { type Destination, PassedCalls } from './passed-calls.ts';

/**
 * Header of an answer: the address of the replica that gave it, if that is another replica, or if several could have.
 */
export const REPLICA_HEADER = 'spanmesh-replica';
/** Header of an answer: the role of that replica, `leader`, `standby` or `taking-over`. */
export const ROLE_HEADER = 'spanmesh-role';
/** Header of an answer: greatest age of the data in it, ms. */
export const LAG_HEADER = 'spanmesh-lag-ms';

type Unary = (call: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>) => void;
type Streaming = (call: ServerWritableStream<unknown, unknown>) => void;

/** A service with its implementation. */
export interface ServedService {
  readonly definition: ServiceDefinition;
  readonly implementation: object;
}

/** An answer as it was received. A later version of the leader may put more into it than this one knows. */
class PassedOn {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

export interface ForwarderOptions {
  /** `host:port` of the leader's service port; null: this replica answers itself, even if only that nobody leads. */
  readonly leader: () => string | null;
  readonly security: ChannelSecurity;
}

/**
 * Makes any replica behind one address answer for all: calls of an API (unary, or streams to the client) are passed on
 * to the replica that leads. Requests and answers pass unchanged, so this replica need not understand all of their
 * fields. Both replicas check whether the caller may make the call (passed-on-caller.ts).
 */
export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #calls: PassedCalls;
  /** The bytes from which each request was decoded. */
  readonly #bytes = new WeakMap<object, Buffer>();

  constructor(options: ForwarderOptions, deps: { readonly limited?: (limit: PoolLimit) => void } = {}) {
    this.#options = options;
    this.#calls = new PassedCalls({}, deps);
  }

  /** Calls passed on so far. */
  get forwarded(): number {
    return this.#calls.passed;
  }

  /**
   * The service for a server. Its implementation is called when this replica leads or no leader is known, and for
   * methods that `answersItself` names.
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
      const leaderFor = (metadata: Metadata) => (answersItself(name) ? null : this.#leaderFor(metadata));
      wrapped[name] = method.responseStream
        ? (call: ServerWritableStream<unknown, unknown>) => {
            const to = leaderFor(call.metadata);
            if (to === null) (handler as Streaming)(call);
            else this.#calls.stream(method, call, { to, request: this.#bytesOf(method, call.request), wrap: passedOn });
          }
        : (call: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>) => {
            const to = leaderFor(call.metadata);
            if (to === null) (handler as Unary)(call, callback);
            else {
              const request = this.#bytesOf(method, call.request);
              this.#calls.unary(method, call, callback, { to, request, wrap: passedOn });
            }
          };
    }
    return { definition: methods, implementation: wrapped };
  }

  /**
   * Ends calls that wait for another leader than the present one: they could wait for as long as the connection to it
   * lives.
   */
  leaderChanged(): void {
    this.#calls.abortOthers(this.#options.leader(), 'The leader has changed: call again.');
  }

  stop(): void {
    this.#calls.stop();
  }

  #leaderFor(metadata: Metadata): Destination | null {
    const address = metadata.get(FORWARDED_HEADER).length > 0 ? null : this.#options.leader();
    if (address === null) return null;
    const headers = answeredBy({ address, role: 'leader', lagMs: 0 });
    return { address, security: this.#options.security, what: 'leader', headers };
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

  /** The bytes of a request as it was received. */
  #bytesOf(method: MethodDefinition<unknown, unknown>, request: unknown): Buffer {
    return this.#bytes.get(request as object) ?? method.requestSerialize(request);
  }
}

function passedOn(bytes: Buffer): PassedOn {
  return new PassedOn(bytes);
}

/** The headers that say which replica has answered. `lagMs`: a whole number. */
export function answeredBy({ address, role, lagMs }: { address: string; role: string; lagMs: number }): Metadata {
  const metadata = new Metadata();
  metadata.set(REPLICA_HEADER, address);
  metadata.set(ROLE_HEADER, role);
  metadata.set(LAG_HEADER, String(lagMs));
  return metadata;
}
