import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { DrainGatewayRequest, type DrainGatewayResponse, TopologyClient } from '@spanmesh/proto/v1/topology';
import { createClient } from '@spanmesh/runtime/grpc/grpc-client';
import type { Kernel, SimProcess } from './kernel.ts';
import { API_PORT, simSecurity } from './processes.ts';

/** Pause before the operator asks again about a drain whose call has ended, ms. */
const RETRY_MS = 500;
/** An operator gives up if a drain is not done this long after its deadline, ms. */
const PATIENCE_MS = 60_000;

/** A drain to order: the gateway's name, the share of its accepted connections, and the deadline in ms. */
export interface DrainAsked {
  readonly gateway: string;
  readonly share: number;
  readonly deadlineMs: number;
}

/** A drain that was ordered. */
interface Ordered extends DrainAsked {
  readonly order: string;
  readonly begunAt: number;
  /** When the drain ended; null: it goes on, as far as the operator knows. */
  overAt: number | null;
  /** The last progress that was reported. */
  told: DrainGatewayResponse | null;
}

export interface OperatorDependencies {
  readonly kernel: Kernel;
  readonly process: SimProcess;
  /** Hosts of the topologies. */
  readonly replicas: readonly string[];
  /** Called when a drain reports for the first time that it had to cut connections. */
  readonly cut: (gateway: string, begunAt: number) => void;
}

/**
 * An operator who drains gateways and follows the drains. When a call ends before its drain does, the operator asks
 * again with the order's id, at any replica that answers.
 */
export class SimOperator {
  /** Contradictions in the reported progress. */
  readonly faults: string[] = [];
  /** Connections that drains have closed in order. */
  ended = 0;
  readonly #deps: OperatorDependencies;
  readonly #orders: Ordered[] = [];

  constructor(deps: OperatorDependencies) {
    this.#deps = deps;
  }

  /** Number of drains that are still followed. */
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

  /** Whether a drain of this gateway was going on at or after `since`. */
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

  /** Asks for the drain's progress until the call ends; resolves however it ends. */
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
    // After a restart the gateway does not know the order, and begins anew.
    const isSame = before?.gateway === told.gateway;
    if (isSame && before.chosen !== told.chosen) wrong('others were chosen');
    if (isSame && (told.closed < before.closed || told.cut < before.cut)) wrong('what has ended has not');
    ordered.told = told;
    if (told.cut > (isSame ? before.cut : 0)) this.#deps.cut(ordered.gateway, ordered.begunAt);
  }
}
