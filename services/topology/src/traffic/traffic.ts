import { status } from '@grpc/grpc-js';
import type { ListTrafficRequest, ListTrafficResponse } from '@spanmesh/proto/v1/topology';
import {
  type ListGatewayTrafficRequest,
  type ListGatewayTrafficResponse,
  type TrafficCounters,
  TrafficKind,
} from '@spanmesh/proto/v1/traffic';
import type { Clock } from '@spanmesh/runtime/clock';
import { ApiError, invalid } from '@spanmesh/runtime/grpc/api-error';
import { type Key, parseToken, sizeOf, writeToken } from '@spanmesh/runtime/grpc/paging';
import type { GatewayId } from '@spanmesh/spantree/ids';
import type { GatewayChannel } from '../operate/captures.ts';
import { type Gateway, lnkConnData } from '../trees/gateway.ts';
import type { Trees } from '../trees/trees.ts';
import { GatewayClients } from './gateway-clients.ts';
import { ASK_MS, ASKED_AT_ONCE, PAGE_MS } from './limits.ts';

/** Where a page begins: at this gateway, after one of its counters, or (null) at its first. */
interface Start {
  readonly gateway: GatewayId;
  readonly after: Pick<TrafficCounters, 'kind' | 'id'> | null;
}

/** The fields of the request that gateways are asked with. */
type Wanted = Pick<ListGatewayTrafficRequest, 'pageSize' | 'kinds'>;

/**
 * Answers questions about the gateways' traffic. It asks the gateways when it is asked, a few at a time, and stores
 * nothing. Any replica can do so, with the gateways in its trees.
 */
export class Traffic {
  readonly #clients: GatewayClients;
  readonly #clock: Pick<Clock, 'now' | 'after'>;

  constructor(channel: GatewayChannel = {}, { clock }: { readonly clock: Pick<Clock, 'now' | 'after'> }) {
    this.#clients = new GatewayClients(channel, { clock });
    this.#clock = clock;
  }

  /**
   * Answers ListTraffic. `isCancelled`: whether the call was cancelled meanwhile.
   * @throws ApiError INVALID_ARGUMENT: not a token of this list; CANCELLED
   */
  async list(
    trees: Pick<Trees, 'gateways'>,
    request: ListTrafficRequest,
    isCancelled: () => boolean = () => false,
  ): Promise<ListTrafficResponse> {
    const size = sizeOf(request);
    const start = startOf(parseToken(request.pageToken));
    const gateways = [...trees.gateways.values()]
      .filter(({ id, name }) => id >= start.gateway && ['', id, name].includes(request.gateway))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
    const counters: TrafficCounters[] = [];
    const silentGateways: string[] = [];
    const until = this.#clock.now() + PAGE_MS;
    for (let at = 0; at < gateways.length; ) {
      const wanted = { pageSize: size - counters.length, kinds: request.kinds };
      const next = gateways.slice(at, at + countToAsk(gateways, at, wanted));
      const answers = await Promise.all(
        next.map((gateway) => this.#askFor(gateway, gateway.id === start.gateway ? start.after : null, wanted)),
      );
      if (isCancelled()) throw new ApiError(status.CANCELLED, 'Nobody waits for the answer any more.');
      for (const [i, answer] of answers.entries()) {
        const gateway = next[i];
        if (gateway === undefined) break;
        if (answer === null) silentGateways.push(gateway.id);
        for (const one of answer ?? []) {
          // A gateway may send more than it was asked for: the next page begins after the last counter of this one.
          if (counters.length === size) break;
          counters.push({ ...one, gateway: gateway.id, label: labelOf(gateway, one) });
        }
      }
      at += next.length;
      const last = counters.at(-1);
      if (counters.length === size && last !== undefined) {
        return { counters, silentGateways, nextPageToken: writeToken([last.gateway, last.kind, last.id]) };
      }
      const following = gateways[at];
      if (following !== undefined && this.#clock.now() >= until) {
        return { counters, silentGateways, nextPageToken: writeToken([following.id]) };
      }
    }
    return { counters, silentGateways, nextPageToken: '' };
  }

  stop(): void {
    this.#clients.stop();
  }

  /** Up to `pageSize` counters of a gateway; null: the gateway has not answered completely. */
  async #askFor(
    gateway: Gateway,
    after: Start['after'],
    { pageSize, kinds }: Wanted,
  ): Promise<TrafficCounters[] | null> {
    const found: TrafficCounters[] = [];
    let last = after;
    for (;;) {
      const answer = await this.#ask(gateway, {
        pageSize: pageSize - found.length,
        afterKind: last?.kind ?? 0,
        afterId: last?.id ?? '',
        kinds,
      });
      if (answer === null) return null;
      for (const one of answer.counters) found.push(one);
      last = answer.counters.at(-1) ?? null;
      if (!answer.more || last === null || found.length >= pageSize) return found;
    }
  }

  #ask(gateway: Gateway, request: ListGatewayTrafficRequest): Promise<ListGatewayTrafficResponse | null> {
    const client = this.#clients.of(gateway);
    if (client === null) return Promise.resolve(null);
    return new Promise((resolve) => {
      const call = client.listGatewayTraffic(request, (error, answer) => {
        late.cancel();
        resolve(error === null ? answer : null);
      });
      const late = this.#clock.after(ASK_MS, () => call.cancel());
    });
  }
}

/**
 * How many of the gateways from `at` on to ask at once: as many as should fill the page, judged by their connections.
 */
function countToAsk(gateways: readonly Gateway[], at: number, { pageSize, kinds }: Wanted): number {
  const hasConnections = kinds.length === 0 || kinds.includes(TrafficKind.TRAFFIC_KIND_CONNECTION);
  let expected = 0;
  let count = 0;
  for (const { connections } of gateways.slice(at, at + ASKED_AT_ONCE)) {
    if (expected >= pageSize) break;
    // A gateway has few counters of other kinds.
    expected += 1 + (hasConnections ? connections.size : 0);
    count++;
  }
  return count;
}

function labelOf(gateway: Gateway, { id }: TrafficCounters): string {
  const number = id.startsWith(`${gateway.id}:`) ? Number(id.slice(gateway.id.length + 1)) : 0;
  for (const lnkConn of gateway.connections.get(number)?.lnkConns ?? []) {
    const { label } = lnkConnData(lnkConn).payload;
    if (label !== '') return label;
  }
  return '';
}

/** @throws ApiError INVALID_ARGUMENT: the key is not one of this list. */
function startOf(key: Key | undefined): Start {
  const [gateway = '', kind, id] = key ?? [];
  if (typeof gateway === 'string') {
    if (kind === undefined) return { gateway, after: null };
    if (isKind(kind) && typeof id === 'string') return { gateway, after: { kind, id } };
  }
  throw invalid('page_token is not one that this list gave: pass next_page_token as it came, or leave it empty.');
}

function isKind(value: unknown): value is TrafficKind {
  return value === 1 || value === 2 || value === 3;
}
