import { type ServiceError, status } from '@grpc/grpc-js';
import type { NodeSelector, RoutedMessage, RouteOpened } from '@spanmesh/proto/v1/messaging';
import type { Random } from '../fuzz/random.ts';
import { Exchange } from '../peer/exchange.ts';
import { messagingClient, RouteClient } from '../peer/route-client.ts';
import { ASK, baseOf } from '../peer/routed-traffic.ts';
import { ERROR, LNK_ERROR } from '../peer/wire.ts';
import { MOST_MESSAGES } from './crowd-peer.ts';
import type { Leaf } from './leaf.ts';

/** A client without a route waits this long, and up to as long again at random, before it opens another one, ms. */
const RETRY_MS = 100;
/** How long the gateway waits for a way to the node, and how long the client waits for the gateway, ms. */
const WAY_MS = 2_000;
const OPEN_MS = 5_000;
/** How a call may end in which nobody has done anything wrong. */
const EXPECTED: ReadonlySet<status> = new Set([status.UNAVAILABLE, status.CANCELLED, status.DEADLINE_EXCEEDED]);

/** A gateway's API. */
export interface ApiDoor {
  /** The gateway's host, which is also its name. */
  readonly host: string;
  readonly port: number;
}

export interface RouteLeafOptions {
  readonly random: Random;
  readonly doors: () => readonly ApiDoor[];
  /** The nodes that it opens routes to. */
  readonly nodes: readonly NodeSelector[];
}

/** The route that a client has open. */
interface OpenRoute {
  readonly gateway: string;
  readonly opened: RouteOpened;
}

/** The open transaction. */
interface Call {
  readonly number: number;
  readonly exchange: Exchange;
}

/**
 * A client of the API with one OpenRoute stream: to some node, at some gateway, whenever it has none. It calls the node
 * on it.
 */
export class RouteLeaf implements Leaf {
  readonly kind = 'route';
  readonly name: string;
  readonly faults: string[] = [];
  answered = 0;
  lost = 0;
  readonly #options: RouteLeafOptions;
  #client: RouteClient | null = null;
  #route: OpenRoute | null = null;
  #call: Call | null = null;
  #calls = 0;
  #isAway = true;
  /** It has ended the present stream itself. */
  #isLeaving = false;
  #isStopped = false;
  #comesBack: (() => void) | null = null;

  constructor(name: string, options: RouteLeafOptions) {
    this.name = name;
    this.#options = options;
    void this.#run();
  }

  get isConnected(): boolean {
    return this.#route !== null;
  }

  /** The route; null: none is open. */
  get route(): OpenRoute | null {
    return this.#route;
  }

  get hanging(): number {
    return this.#call === null ? 0 : 1;
  }

  leftovers(): readonly string[] {
    return this.faults;
  }

  ask(): boolean {
    if (this.#route === null || this.#call !== null) return false;
    const number = ++this.#calls;
    const messages = 1 + this.#options.random.below(MOST_MESSAGES);
    this.#call = { number, exchange: new Exchange(`${this.name} ${number}`, messages) };
    this.#send(this.#call, true);
    return true;
  }

  come(): void {
    this.#isAway = false;
    this.#comesBack?.();
  }

  go(how: 'leave' | 'reset'): void {
    this.#isAway = true;
    this.#isLeaving = true;
    this.#route = null;
    if (how === 'leave') this.#client?.stream.end();
    else this.#client?.stream.cancel();
  }

  stop(): void {
    this.#isStopped = true;
    this.go('reset');
    this.#comesBack?.();
  }

  async #run(): Promise<void> {
    const { random } = this.#options;
    while (!this.#isStopped) {
      if (this.#isAway) {
        await new Promise<void>((resolve) => {
          this.#comesBack = resolve;
        });
        continue;
      }
      await this.#once();
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS + random.below(RETRY_MS)));
    }
  }

  /** Opens a route and reads it until it ends. */
  async #once(): Promise<void> {
    const { random, doors, nodes } = this.#options;
    const { host: gateway, port } = random.pick(doors());
    const messaging = messagingClient(port);
    const client = new RouteClient(messaging);
    this.#client = client;
    this.#isLeaving = false;
    const late = setTimeout(() => client.stream.cancel(), OPEN_MS);
    try {
      const opened = await client.begin(random.pick(nodes), WAY_MS);
      clearTimeout(late);
      if (!this.#isLeaving) this.#route = { gateway, opened };
      for (;;) this.#take(await client.message());
    } catch (error) {
      const { code, message } = error as Error & Partial<ServiceError>;
      // A stream that its client has closed may end without a status.
      const isExpected = code === undefined ? this.#isLeaving : EXPECTED.has(code);
      if (!isExpected) this.faults.push(`${this.name}: its stream at ${gateway} ended: ${message}`);
    }
    clearTimeout(late);
    messaging.close();
    this.#client = null;
    this.#route = null;
    if (this.#call !== null) this.lost++;
    this.#call = null;
  }

  #take({ transaction, openedByNode, command, delete: isLast, abort, error, payload }: RoutedMessage): void {
    const call = this.#call;
    if (call === null || openedByNode || transaction !== call.number) {
      this.faults.push(`${this.name}: ${command.toString(16)} came in ${transaction}, which is over`);
      return;
    }
    if (abort || baseOf(command) !== baseOf(ASK)) {
      // What a client leaves open is aborted towards the node, which then ends its side as usual.
      const isExpected = error === ERROR.LOSTLINK || (this.#isLeaving && error === 0);
      if (!isExpected) this.faults.push(`${call.exchange.text}: ended with error ${error}`);
      this.lost++;
      this.#call = null;
      // protocol.md, "Transactions": a transaction closed by one side is closed by the other, too.
      if (call.exchange.unsent > 0) this.#write({ transaction: call.number, command: LNK_ERROR, delete: true });
      return;
    }
    this.faults.push(...call.exchange.take(payload, isLast));
    if (isLast) {
      this.#call = null;
      this.answered++;
    } else if (call.exchange.unsent > 0) this.#send(call, false);
  }

  #send({ number, exchange }: Call, create: boolean): void {
    const { body, isLast } = exchange.next();
    this.#write({ transaction: number, command: ASK, create, delete: isLast, payload: body });
  }

  /** Sends a message, unless it has closed its side: then the gateway aborts what is open. */
  #write(message: Partial<RoutedMessage>): void {
    if (!this.#isLeaving) this.#client?.send(message);
  }
}
