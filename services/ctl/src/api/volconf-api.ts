import type { ClientReadableStream } from '@grpc/grpc-js';
import {
  type ListTargetsRequest,
  type ListTargetsResponse,
  type SetTargetRequest,
  type Target,
  TargetState,
  VolconfClient,
  type WatchTargetsResponse,
} from '@spanmesh/proto/v1/volconf';
import { TARGETS_LOOKED_AT } from '../status/failing-targets.ts';
import type { CallContext } from './call-failure.ts';
import { callUnary, type UnaryCall } from './channel.ts';
import { type ApiTarget, openClient } from './open-client.ts';
import { type PageRequest, pagesOf } from './pages.ts';

const SERVICE = 'spanmesh.v1.Volconf';

/** The Volconf service as the commands use it: lists with all their pages, one Failure for whatever goes wrong. */
export class VolconfApi {
  /** The circumstances of a call, for `failureOf`. */
  readonly context: CallContext;
  readonly #client: VolconfClient;

  /** @throws Failure usage */
  constructor({ timeoutMs, ...target }: ApiTarget & { readonly timeoutMs: number }) {
    this.context = { address: target.address, timeoutMs, service: SERVICE };
    this.#client = openClient(VolconfClient, target);
  }

  close(): void {
    this.#client.close();
  }

  async targets(filter: Pick<ListTargetsRequest, 'state' | 'mediaId'>): Promise<Target[]> {
    const all: Target[] = [];
    const fetch = (page: PageRequest) => this.#unary(this.#client.listTargets, { ...filter, ...page });
    for await (const { targets } of pagesOf(fetch)) for (const target of targets) all.push(target);
    return all;
  }

  /** The first page of the targets that are being connected, or wait for the next attempt. */
  tried(): Promise<ListTargetsResponse> {
    const state = TargetState.TARGET_STATE_CONNECT;
    return this.#unary(this.#client.listTargets, { state, mediaId: '', pageSize: TARGETS_LOOKED_AT, pageToken: '' });
  }

  /** The target; undefined if the answer has none, which is a fault of the service. */
  async target(name: string): Promise<Target | undefined> {
    return (await this.#unary(this.#client.getTarget, { name })).target;
  }

  async set(request: SetTargetRequest): Promise<Target | undefined> {
    return (await this.#unary(this.#client.setTarget, request)).target;
  }

  async remove(name: string): Promise<void> {
    await this.#unary(this.#client.removeTarget, { name });
  }

  /** Watches the targets. Errors of the stream are ServiceErrors, which `failureOf` explains. */
  watch(): ClientReadableStream<WatchTargetsResponse> {
    return this.#client.watchTargets({});
  }

  #unary<Q, R>(call: UnaryCall<Q, R>, request: Q): Promise<R> {
    return callUnary(call.bind(this.#client), request, this.context);
  }
}
