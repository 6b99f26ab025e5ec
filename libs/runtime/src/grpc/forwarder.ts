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

/** Header of an answer: the address of the replica that has given it, if that is another one or if there could be several. */
export const REPLICA_HEADER = 'spanmesh-replica';
/** Header of an answer: what that replica is, `leader`, `standby` or `taking-over`. */
export const ROLE_HEADER = 'spanmesh-role';
/** Header of an answer: greatest age of the data in it, ms. */
export const LAG_HEADER = 'spanmesh-lag-ms';

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
 * streams to the client, with their requests and answers as they came: this replica need not understand all that is in them. Both
 * check whether the caller may (passed-on-caller.ts).
 */
export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #calls: PassedCalls;
  /** The bytes that requests were decoded from. */
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

  /** Another leads, or nobody: calls that wait for the one before would wait for as long as its connection lives. */
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

  /** A request as it came. */
  #bytesOf(method: MethodDefinition<unknown, unknown>, request: unknown): Buffer {
    return this.#bytes.get(request as object) ?? method.requestSerialize(request);
  }
}

function passedOn(bytes: Buffer): PassedOn {
  return new PassedOn(bytes);
}

/** The headers that say who has answered. `lagMs`: a whole number. */
export function answeredBy({ address, role, lagMs }: { address: string; role: string; lagMs: number }): Metadata {
  const metadata = new Metadata();
  metadata.set(REPLICA_HEADER, address);
  metadata.set(ROLE_HEADER, role);
  metadata.set(LAG_HEADER, String(lagMs));
  return metadata;
}
