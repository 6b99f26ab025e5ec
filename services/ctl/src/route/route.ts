import { setTimeout as sleep } from 'node:timers/promises';
import { type ClientDuplexStream, status } from '@grpc/grpc-js';
import { LNK_ERROR } from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import {
  MessagingClient,
  type NodeSelector,
  type OpenRouteRequest,
  type OpenRouteResponse,
  RoutedMessage,
  type RouteOpened,
} from '@spanmesh/proto/v1/messaging';
import { systemClock } from '@spanmesh/runtime/clock';
import { failureOf, isServiceError } from '../api/call-failure.ts';
import { type ApiTarget, openClient } from '../api/open-client.ts';
import { Failure } from '../failure.ts';
import { printableLabel, printableSentence } from '../output/label.ts';

const SERVICE = 'spanmesh.v1.Messaging';
/** How much longer the service may wait for a link than the request says, in milliseconds. */
const GRACE_MS = 1000;
/** Longest time to wait that a request may name, in milliseconds: a limit of the service. */
const LONGEST_WAIT_MS = 3_600_000;

export interface RouteOptions extends ApiTarget {
  readonly node: NodeSelector;
  /** Longest wait for the route to be established, in milliseconds. */
  readonly timeoutMs: number;
}

/** The fields of a message; missing ones are 0, false or empty. */
export type MessageParts = Partial<RoutedMessage>;

/**
 * A route to a node (messaging.proto, OpenRoute), from when it is established until `close`. Transactions that the node
 * opens are refused with NOSUPP: a command serves nothing.
 */
export class Route {
  readonly opened: RouteOpened;
  readonly #options: RouteOptions;
  readonly #client: MessagingClient;
  readonly #call: ClientDuplexStream<OpenRouteRequest, OpenRouteResponse>;
  readonly #answers: AsyncIterator<OpenRouteResponse>;
  /** The next message, which is being awaited, perhaps since an earlier `next` that gave up. */
  #pending: Promise<IteratorResult<OpenRouteResponse>> | null = null;

  private constructor(
    options: RouteOptions,
    client: MessagingClient,
    call: ClientDuplexStream<OpenRouteRequest, OpenRouteResponse>,
    answers: AsyncIterator<OpenRouteResponse>,
    opened: RouteOpened,
  ) {
    this.#options = options;
    this.#client = client;
    this.#call = call;
    this.#answers = answers;
    this.opened = opened;
  }

  /**
   * Opens a route, and resolves once it is established.
   * @throws Failure
   */
  static async open(options: RouteOptions): Promise<Route> {
    const { address, node, timeoutMs } = options;
    const client = openClient(MessagingClient, options);
    const call = client.openRoute();
    // The iterator throws the error. Once nobody iterates, a cancelled call still reports one here.
    call.on('error', () => {});
    let late = false;
    const timer = systemClock.after(timeoutMs + GRACE_MS, () => {
      late = true;
      call.cancel();
    });
    try {
      const answers: AsyncIterator<OpenRouteResponse> = call[Symbol.asyncIterator]();
      call.write({ open: { node, waitMs: Math.min(Math.ceil(timeoutMs), LONGEST_WAIT_MS) } });
      const first = await answers.next();
      const opened = first.done === true ? undefined : first.value.opened;
      if (opened === undefined) throw new Failure('lost', `${address} did not open a route`);
      return new Route(options, client, call, answers, opened);
    } catch (error) {
      client.close();
      // The call did not time out: the service has waited for the node in vain.
      if (!late && isServiceError(error) && error.code === status.DEADLINE_EXCEEDED) {
        throw new Failure('timeout', unreachable(node, error.details), { cause: error });
      }
      throw failureOf(error, { address, timeoutMs, service: SERVICE, late });
    } finally {
      timer.cancel();
    }
  }

  /** The name by which the node was asked for; safe to print. */
  get name(): string {
    return printableLabel(this.#options.node.node);
  }

  /** Sends a message. The caller chooses the number of a transaction that it opens. */
  send(parts: MessageParts): void {
    this.#call.write({ routed: RoutedMessage.fromPartial(parts) });
  }

  /**
   * The next message of the node; null: none has come within `ms` milliseconds, and it may still come.
   * @throws Failure lost: the route is gone
   */
  async next(ms: number): Promise<RoutedMessage | null> {
    const end = performance.now() + ms;
    for (;;) {
      const answer = await this.#answer(Math.max(end - performance.now(), 0));
      if (answer === null) return null;
      const { routed } = answer;
      if (routed === undefined) continue;
      if (!routed.openedByNode) return routed;
      if (routed.create) this.#refuse(routed);
    }
  }

  /** Ends our side, and waits at most `ms` milliseconds until the service has taken all messages. */
  async finish(ms: number): Promise<void> {
    this.#call.end();
    const end = performance.now() + ms;
    try {
      while ((await this.#answer(Math.max(end - performance.now(), 0))) !== null);
    } catch (error) {
      // The end of the stream is what `finish` waits for, so it is no error.
      if (!(error instanceof Failure) || error !== this.#ended) throw error;
    }
  }

  /** Closes the route at once; transactions open on it are aborted. */
  close(): void {
    this.#call.cancel();
    this.#client.close();
  }

  readonly #ended = new Failure('lost', 'the service ended the route');

  async #answer(ms: number): Promise<OpenRouteResponse | null> {
    if (this.#pending === null) {
      this.#pending = this.#answers.next();
      // The next wait throws the error.
      this.#pending.catch(() => {});
    }
    const given = new AbortController();
    const timer = sleep(ms, null, { signal: given.signal }).catch(() => null);
    try {
      const result = await Promise.race([this.#pending, timer]);
      if (result === null) return null;
      this.#pending = null;
      if (result.done === true) throw this.#ended;
      return result.value;
    } catch (error) {
      throw this.#failureOf(error);
    } finally {
      given.abort();
    }
  }

  #failureOf(error: unknown): unknown {
    if (!isServiceError(error)) return error;
    const details = printableSentence(error.details);
    // messaging.proto: when the route goes, the stream ends with UNAVAILABLE and the reason.
    if (error.code === status.UNAVAILABLE) {
      return new Failure('lost', `the route to ${this.name} is gone: ${details}`, { cause: error });
    }
    const { address, timeoutMs } = this.#options;
    return failureOf(error, { address, timeoutMs, service: SERVICE });
  }

  #refuse({ transaction, circuit, circuitOpenedByNode }: RoutedMessage): void {
    this.send({
      transaction,
      openedByNode: true,
      circuit,
      circuitOpenedByNode,
      command: LNK_ERROR,
      create: true,
      delete: true,
      error: ErrorCode.NOSUPP,
    });
  }
}

function unreachable({ node }: NodeSelector, details: string): string {
  const why = details === '' ? 'no link to it in time' : printableSentence(details);
  return `cannot reach ${printableLabel(node)}: ${why}`;
}
