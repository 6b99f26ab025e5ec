import { status } from '@grpc/grpc-js';
import { clusterKeyText } from '@spanmesh/proto/cluster-key';
import { DirectoryClient, type FindClusterResponse, type FindNodeResponse } from '@spanmesh/proto/v1/directory';
import { NodeSelector } from '@spanmesh/proto/v1/messaging';
import type { ClusterKey } from '@spanmesh/proto/v1/types';
import type { Clock } from '@spanmesh/runtime/clock';
import { ApiError } from '@spanmesh/runtime/grpc/api-error';
import { type CallShareDeps, CallShares } from '@spanmesh/runtime/grpc/call-shares';
import { createClient, PLAINTEXT } from '@spanmesh/runtime/grpc/grpc-client';
import type { ChannelSecurity } from '@spanmesh/runtime/tls/tls-credentials';
import { MAX_QUESTIONS, MAX_QUESTIONS_PER_USER, MAX_WAITING, MAX_WAITING_PER_USER } from './limits.ts';
import { type Ask, Question } from './question.ts';

/** The caller on whose behalf topology is asked. */
export interface Caller {
  /** Aborted when the caller does not wait any more. */
  readonly signal: AbortSignal;
  readonly principal: string;
}

/** Finds nodes and clusters for Messaging by asking topology. */
export interface Directory {
  /**
   * `selector` is canonical. Waits until the node can be reached, or the caller does not wait any more. @throws
   * ApiError
   */
  findNode(selector: NodeSelector, caller: Caller): Promise<FindNodeResponse>;
  /** Waits until the cluster has this number of nodes. `key` is canonical. @throws ApiError */
  findCluster(key: ClusterKey, nodes: number, caller: Caller): Promise<FindClusterResponse>;
}

/** Asks the Directory of the topology leader. Callers with the same question at the same time share one call. */
export class DirectoryCalls implements Directory {
  readonly #gateway: () => string;
  readonly #address: () => string | null;
  readonly #security: ChannelSecurity;
  readonly #clock: Clock;
  readonly #questions = new Map<string, Question<unknown>>();
  readonly #shares: CallShares<'waiting calls' | 'questions about nodes and clusters'>;
  #client: DirectoryClient | null = null;
  #clientAddress = '';
  #stopped = false;

  /**
   * `gateway`: id of this gateway; `address`: `host:port` of the leader, null if none is known. Both functions are
   * called at each question. `security`: of the channel to the leader.
   */
  constructor(
    options: { gateway: () => string; address: () => string | null; security?: ChannelSecurity },
    deps: CallShareDeps,
  ) {
    this.#gateway = options.gateway;
    this.#address = options.address;
    this.#security = options.security ?? PLAINTEXT;
    this.#clock = deps.clock;
    this.#shares = new CallShares(
      {
        'waiting calls': { total: MAX_WAITING, share: MAX_WAITING_PER_USER },
        'questions about nodes and clusters': { total: MAX_QUESTIONS, share: MAX_QUESTIONS_PER_USER },
      },
      deps,
    );
  }

  /** Number of clients' calls that wait for an answer. */
  get waiting(): number {
    return this.#shares.held('waiting calls');
  }

  findNode(selector: NodeSelector, caller: Caller): Promise<FindNodeResponse> {
    const key = `node ${Buffer.from(NodeSelector.encode(selector).finish()).toString('base64')}`;
    return this.#answer<FindNodeResponse>(key, caller, (done) => {
      const client = this.#leader();
      if (client === null) return later(done);
      return client.findNode({ node: selector, gateway: this.#gateway() }, done);
    });
  }

  findCluster(cluster: ClusterKey, nodes: number, caller: Caller): Promise<FindClusterResponse> {
    return this.#answer<FindClusterResponse>(`cluster ${nodes} ${clusterKeyText(cluster)}`, caller, (done) => {
      const client = this.#leader();
      if (client === null) return later(done);
      return client.findCluster({ cluster, nodes, gateway: this.#gateway() }, done);
    });
  }

  /**
   * Asks all open questions again: another replica leads and the former leader may never answer, or this gateway has
   * another id.
   */
  askAgain(): void {
    for (const question of this.#questions.values()) question.again();
  }

  /** Ends all calls that wait. */
  stop(): void {
    this.#stopped = true;
    const stopping = new ApiError(status.UNAVAILABLE, 'This gateway stops: use another one.');
    for (const question of [...this.#questions.values()]) question.fail(stopping);
    this.#client?.close();
    this.#client = null;
  }

  async #answer<Answer>(key: string, { signal, principal }: Caller, ask: Ask<Answer>): Promise<Answer> {
    if (this.#stopped) throw new ApiError(status.UNAVAILABLE, 'This gateway stops: use another one.');
    if (signal.aborted) throw new ApiError(status.CANCELLED, 'Nobody waits for the answer any more.');
    let giveUp = (_error: ApiError): void => {};
    const over = this.#shares.begin('waiting calls', principal, (error) => giveUp(error));
    try {
      const known = this.#questions.get(key) as Question<Answer> | undefined;
      const waiter = (known ?? this.#begin(key, principal, ask)).ask(principal, signal);
      giveUp = (error) => waiter.giveUp(error);
      return await waiter.answer;
    } finally {
      over();
    }
  }

  /** Begins a question. It counts for one of the users that wait for its answer. @throws ApiError RESOURCE_EXHAUSTED */
  #begin<Answer>(key: string, principal: string, ask: Ask<Answer>): Question<Answer> {
    let payer = principal;
    const giveWay = (error: ApiError): void => {
      question.giveUpAll(payer, error);
      pass();
    };
    let close = this.#shares.begin('questions about nodes and clusters', payer, giveWay);
    /** If the user for whom the question counts has left, lets it count for the one that has waited longest. */
    const pass = (): void => {
      const { first } = question;
      if (first === null || question.isAskedBy(payer)) return;
      close();
      payer = first;
      try {
        close = this.#shares.begin('questions about nodes and clusters', payer, giveWay);
      } catch (error) {
        question.giveUpAll(payer, error as ApiError);
        pass();
      }
    };
    const question = new Question<Answer>(ask, {
      clock: this.#clock,
      onOver: () => {
        this.#questions.delete(key);
        close();
      },
      onLeft: pass,
    });
    this.#questions.set(key, question as Question<unknown>);
    return question;
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

/** Answers UNAVAILABLE in the next turn: no leader is known. */
function later(done: (error: never, answer: undefined) => void): { cancel(): void } {
  const immediate = setImmediate(() => done(NOBODY as never, undefined));
  return { cancel: () => clearImmediate(immediate) };
}

const NOBODY = Object.assign(new Error('no leader is known'), { code: status.UNAVAILABLE, details: '' });
