import { type ServerWritableStream, status } from '@grpc/grpc-js';
import type { DrainOrder } from '@spanmesh/proto/v1/gateway_control';
import type { DrainGatewayRequest, DrainGatewayResponse } from '@spanmesh/proto/v1/topology';
import { ApiError, invalid } from '@spanmesh/runtime/grpc/api-error';
import type { Commander } from '../attach/commander.ts';
import type { Gateway } from '../trees/gateway.ts';
import type { Trees } from '../trees/trees.ts';
import { checkCanDrain, findGateway, notAttached } from './find-gateway.ts';

/** Calls that follow drains, at a time. */
export const MAX_FOLLOWED = 200;
/** Drains of one gateway that run at a time: fewer than a gateway remembers. */
export const MAX_RUNNING = 8;

/** Longest deadline of a drain, ms (topology.proto): a drain that runs for longer will not end by itself. */
const MAX_DRAIN_MS = 24 * 3_600_000;

const ORDER = /^[A-Za-z0-9-]{1,64}$/;

type Call = Pick<ServerWritableStream<DrainGatewayRequest, DrainGatewayResponse>, 'request' | 'write' | 'end'> & {
  emit(event: 'error', error: Error): boolean;
  on(event: 'cancelled', fn: () => void): unknown;
};

/** A call that follows a drain until it is done. */
interface Follower {
  readonly call: Call;
  readonly gateway: Gateway;
  readonly order: DrainOrder;
  /** The progress sent last, so that the same is not sent twice. */
  told: string;
}

/** Drains ordered through this leader: it passes orders to gateways, and their progress back to the callers. */
export class Drains {
  readonly #deps: { readonly trees: Trees; readonly commander: Pick<Commander, 'drain' | 'epoch' | 'next'> };
  readonly #followers = new Set<Follower>();

  constructor(deps: { readonly trees: Trees; readonly commander: Pick<Commander, 'drain' | 'epoch' | 'next'> }) {
    this.#deps = deps;
  }

  /**
   * Answers DrainGateway.
   * @throws ApiError as topology.proto says
   */
  drain(call: Call): void {
    const { trees, commander } = this.#deps;
    const { gateway: name, share, deadlineMs } = call.request;
    if (!(share > 0 && share <= 1)) throw invalid('A share is above 0 and at most 1 (100 %).');
    if (call.request.order !== '' && !ORDER.test(call.request.order)) {
      throw invalid('The id of an order is 1 to 64 of A-Z, a-z, 0-9 and -.');
    }
    if (deadlineMs > MAX_DRAIN_MS) throw invalid(`The deadline of a drain is at most ${MAX_DRAIN_MS} ms (24 hours).`);
    const gateway = findGateway(trees, name);
    checkCanDrain(gateway);
    if (!gateway.attached) throw notAttached(gateway);
    if (this.#followers.size >= MAX_FOLLOWED) {
      throw new ApiError(
        status.RESOURCE_EXHAUSTED,
        `${MAX_FOLLOWED} drains are being followed already: try again when one is done.`,
      );
    }
    const order: DrainOrder = {
      order: call.request.order || `${commander.epoch}-${commander.next()}`,
      sharePermille: Math.max(1, Math.round(share * 1000)),
      deadlineMs,
    };
    if (!gateway.drains.has(order.order)) {
      const running = [...gateway.drains.values()].filter(({ done }) => !done).length;
      if (running >= MAX_RUNNING) {
        throw new ApiError(
          status.RESOURCE_EXHAUSTED,
          `Gateway ${gateway.id} runs ${running} drains already: wait until one is done.`,
        );
      }
      if (!commander.drain(gateway, order)) throw notAttached(gateway);
    }
    const follower: Follower = { call, gateway, order, told: '' };
    this.#followers.add(follower);
    call.on('cancelled', () => this.#followers.delete(follower));
    this.#tell(follower);
  }

  /** A gateway has reported the progress of its drains, in a delta or in a snapshot. */
  progressed(gateway: Gateway): void {
    for (const follower of this.#followers) {
      if (follower.gateway !== gateway) continue;
      // The order was lost with the stream. It is sent again; its id keeps the gateway from obeying it twice.
      if (!gateway.drains.has(follower.order.order) && follower.told === '') {
        this.#deps.commander.drain(gateway, follower.order);
      } else this.#tell(follower);
    }
  }

  gatewayGone(gateway: Gateway): void {
    const details = `Gateway ${gateway.id} is gone, and all its connections with it.`;
    for (const follower of [...this.#followers]) if (follower.gateway === gateway) this.#fail(follower, details);
  }

  /** Ends all calls: this replica does not lead any more. */
  endAll(details: string): void {
    for (const follower of [...this.#followers]) this.#fail(follower, details);
  }

  #tell(follower: Follower): void {
    const { call, gateway, order } = follower;
    const progress = gateway.drains.get(order.order);
    if (progress === undefined) return;
    const { chosen, closed, cut, done } = progress;
    const text = `${closed} ${cut} ${done}`;
    if (text === follower.told) return;
    follower.told = text;
    call.write({ order: order.order, gateway: gateway.id, chosen, closed, cut, done });
    if (!done) return;
    this.#followers.delete(follower);
    call.end();
  }

  #fail(follower: Follower, details: string): void {
    this.#followers.delete(follower);
    follower.call.emit('error', new ApiError(status.UNAVAILABLE, details));
  }
}
