import { status } from '@grpc/grpc-js';
import { clusterKeyText } from '@spanmesh/proto/cluster-key';
import { DirectoryClient, type FindClusterResponse, type FindNodeResponse } from '@spanmesh/proto/v1/directory';
import { NodeSelector } from '@spanmesh/proto/v1/messaging';
import type { ClusterKey } from '@spanmesh/proto/v1/types';
import type { Clock } from '@spanmesh/runtime/clock';
import { ApiError } from '@spanmesh/runtime/grpc/api-error';
import { createClient, PLAINTEXT } from '@spanmesh/runtime/grpc/grpc-client';
import type { ChannelSecurity } from '@spanmesh/runtime/tls/tls-credentials';
import { MAX_QUESTIONS, MAX_WAITING } from './limits.ts';
import { type Ask, Question } from './question.ts';

/** Where nodes and clusters are: what messaging asks topology. */
export interface Directory {
  /** `selector` is canonical. Waits until it can be reached, or `signal` is aborted. @throws ApiError */
  findNode(selector: NodeSelector, signal: AbortSignal): Promise<FindNodeResponse>;
  /** `key` is canonical. @throws ApiError */
  findCluster(key: ClusterKey, nodes: number, signal: AbortSignal): Promise<FindClusterResponse>;
}

/** Asks the Directory of the topology leader; those who want to know the same at the same time share one call. */
export class DirectoryCalls implements Directory {
  readonly #gateway: () => string;
  readonly #address: () => string | null;
  readonly #security: ChannelSecurity;
  readonly #clock: Clock;
  readonly #questions = new Map<string, Question<unknown>>();
  #client: DirectoryClient | null = null;
  #clientAddress = '';
  #waiting = 0;
  #stopped = false;

  /**
   * `gateway`: id of this one; `address`: `host:port` of the leader as far as it is known; both are asked for at each call. `security`: of
   * the way to it.
   */
  constructor(
    options: { gateway: () => string; address: () => string | null; security?: ChannelSecurity },
    { clock }: { clock: Clock },
  ) {
    this.#gateway = options.gateway;
    this.#address = options.address;
    this.#security = options.security ?? PLAINTEXT;
    this.#clock = clock;
  }

  /** Calls of clients that wait for an answer. */
  get waiting(): number {
    return this.#waiting;
  }

  findNode(selector: NodeSelector, signal: AbortSignal): Promise<FindNodeResponse> {
    const key = `node ${Buffer.from(NodeSelector.encode(selector).finish()).toString('base64')}`;
    return this.#answer<FindNodeResponse>(key, signal, (done) => {
      const client = this.#leader();
      if (client === null) return later(done);
      return client.findNode({ node: selector, gateway: this.#gateway() }, done);
    });
  }

  findCluster(cluster: ClusterKey, nodes: number, signal: AbortSignal): Promise<FindClusterResponse> {
    return this.#answer<FindClusterResponse>(`cluster ${nodes} ${clusterKeyText(cluster)}`, signal, (done) => {
      const client = this.#leader();
      if (client === null) return later(done);
      return client.findCluster({ cluster, nodes, gateway: this.#gateway() }, done);
    });
  }

  /** Another leads, and the one before may never answer; or this gateway has another id: what waits is asked again. */
  askAgain(): void {
    for (const question of this.#questions.values()) question.again();
  }

  /** Ends all that waits. */
  stop(): void {
    this.#stopped = true;
    const stopping = new ApiError(status.UNAVAILABLE, 'This gateway stops: use another one.');
    for (const question of [...this.#questions.values()]) question.fail(stopping);
    this.#client?.close();
    this.#client = null;
  }

  async #answer<Answer>(key: string, signal: AbortSignal, ask: Ask<Answer>): Promise<Answer> {
    if (this.#stopped) throw new ApiError(status.UNAVAILABLE, 'This gateway stops: use another one.');
    if (signal.aborted) throw new ApiError(status.CANCELLED, 'Nobody waits for the answer any more.');
    let question = this.#questions.get(key) as Question<Answer> | undefined;
    if (this.#waiting >= MAX_WAITING || (question === undefined && this.#questions.size >= MAX_QUESTIONS)) {
      throw new ApiError(status.RESOURCE_EXHAUSTED, 'Too many calls wait at this gateway: try again later.');
    }
    if (question === undefined) {
      const asked = new Question<Answer>(ask, { clock: this.#clock, onOver: () => this.#questions.delete(key) });
      this.#questions.set(key, asked as Question<unknown>);
      question = asked;
    }
    this.#waiting++;
    try {
      return await question.answer(signal);
    } finally {
      this.#waiting--;
    }
  }

  #leader(): DirectoryClient | null {
    const address = this.#address();
    if (address === null || this.#stopped) return null;
    if (this.#client === null || this.#clientAddress !== address) {
      this.#client?.close();
      this.#client = createClient(DirectoryClient, address, { security: this.#security });
      this.#clientAddress = address;
    }
    return this.#client;
  }
}

/** Nobody can be asked now. */
function later(done: (error: never, answer: undefined) => void): { cancel(): void } {
  const immediate = setImmediate(() => done(NOBODY as never, undefined));
  return { cancel: () => clearImmediate(immediate) };
}

const NOBODY = Object.assign(new Error('no leader is known'), { code: status.UNAVAILABLE, details: '' });
