import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { DrainGatewayRequest, type DrainGatewayResponse, TopologyClient } from '@spanmesh/proto/v1/topology';
import { createClient } from '@spanmesh/runtime/grpc/grpc-client';
import type { Kernel, SimProcess } from './kernel.ts';
import { API_PORT, simSecurity } from './processes.ts';

/** Pause before a drain that nobody follows any more is asked for again, ms. */
const RETRY_MS = 500;
/** An operator whose drain is not done so long after its deadline gives up, ms. */
const PATIENCE_MS = 60_000;

/** What is to be drained: gateways by name, a share of their accepted connections, ms. */
export interface DrainAsked {
  readonly gateway: string;
  readonly share: number;
  readonly deadlineMs: number;
}

/** A drain that was ordered. */
interface Ordered extends DrainAsked {
  readonly order: string;
  readonly begunAt: number;
  /** null: it goes on, as far as the operator knows. */
  overAt: number | null;
  /** What was told last. */
  told: DrainGatewayResponse | null;
}

export interface OperatorDependencies {
  readonly kernel: Kernel;
  readonly process: SimProcess;
  /** Hosts of topologies. */
  readonly replicas: readonly string[];
  /** A drain has told for the first time that it had to cut connections off. */
  readonly cut: (gateway: string, begunAt: number) => void;
}

/**
 * An operator who drains gateways, follows the drain, and asks again by the order's id, at whichever replica answers, when a call
 * ends before the drain does.
 */
export class SimOperator {
  /** What must not be: what was told contradicts itself. */
  readonly faults: string[] = [];
  /** Connections that drains have ended in order. */
  ended = 0;
  readonly #deps: OperatorDependencies;
  readonly #orders: Ordered[] = [];

  constructor(deps: OperatorDependencies) {
    this.#deps = deps;
  }

  /** Drains that are being followed. */
  get following(): number {
    return this.#orders.filter(({ overAt }) => overAt === null).length;
  }

  drain(asked: DrainAsked): void {
    const { kernel, process } = this.#deps;
    const order = `drain-${this.#orders.length + 1}`;
    const ordered: Ordered = { ...asked, order, begunAt: kernel.now, overAt: null, told: null };
    this.#orders.push(ordered);
    kernel.next(process, () => void this.#follow(ordered));
  }

  /** A drain of this gateway has gone on since then. */
  hasDrained(gateway: string, since: number): boolean {
    return this.#orders.some((one) => one.gateway === gateway && (one.overAt ?? since) >= since);
  }

  async #follow(ordered: Ordered): Promise<void> {
    const { kernel, process } = this.#deps;
    const until = ordered.begunAt + ordered.deadlineMs + PATIENCE_MS;
    while (ordered.told?.done !== true && kernel.now < until) {
      await this.#ask(ordered, until - kernel.now);
      await new Promise<void>((resolve) => process.clock.after(RETRY_MS, resolve));
    }
    ordered.overAt = kernel.now;
    this.ended += ordered.told?.closed ?? 0;
  }

  /** Resolves when the call has ended, however it did. */
  #ask(ordered: Ordered, ms: number): Promise<void> {
    const { kernel, process, replicas } = this.#deps;
    const { gateway, share, order, deadlineMs } = ordered;
    const security = simSecurity(kernel.network, process);
    const client = createClient(TopologyClient, `${process.random.pick(replicas)}:${API_PORT}`, { security });
    const request = DrainGatewayRequest.create({ gateway, share, order, deadlineMs });
    const stream = client.drainGateway(request, new Metadata(), { deadline: process.wall() + ms });
    return new Promise((resolve) => {
      const over = (): void => {
        client.close();
        resolve();
      };
      stream.on('data', (told: DrainGatewayResponse) => this.#told(ordered, told));
      stream.on('error', (_error: ServiceError) => over());
      stream.on('end', over);
    });
  }

  #told(ordered: Ordered, told: DrainGatewayResponse): void {
    const { order, told: before } = ordered;
    const wrong = (what: string): void => {
      this.faults.push(
        `${order} of ${ordered.gateway}: ${what}: ${JSON.stringify(before)}, then ${JSON.stringify(told)}`,
      );
    };
    if (told.order !== order) wrong('another order is told of');
    if (told.closed + told.cut > told.chosen) wrong('more have ended than were chosen');
    if (told.done !== (told.closed + told.cut === told.chosen)) wrong('it is not done when all have ended');
    // Another life of the gateway knows nothing of the order, and begins anew.
    const isSame = before?.gateway === told.gateway;
    if (isSame && before.chosen !== told.chosen) wrong('others were chosen');
    if (isSame && (told.closed < before.closed || told.cut < before.cut)) wrong('what has ended has not');
    ordered.told = told;
    if (told.cut > (isSame ? before.cut : 0)) this.#deps.cut(ordered.gateway, ordered.begunAt);
  }
}
