import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { Dialect as ProtoDialect } from '@spanmesh/proto/v1/types';
import { VolconfClient } from '@spanmesh/proto/v1/volconf';
import { freePort } from '@spanmesh/runtime/free-port.fixture';

import { LivePeer } from '../peer/live-peer.ts';
import { testUuid } from '../peer/payloads.ts';
import { RawPeer } from '../peer/raw-peer.ts';
import { Responder } from '../peer/routed-traffic.ts';
import { type Dialect, describeMessage } from '../peer/wire.ts';

/** Number of the first target's node; no other peer offers these nodes. */
const FIRST_NODE = 0x3000;
/** How long volconf may take to answer an order, ms, and the pause before the next attempt. */
const ORDER_MS = 2_000;
const AGAIN_MS = 500;

/**
 * A peer that accepts connections: a target that volconf is asked to keep connected. It offers a span and answers
 * transactions on it.
 */
export class SoakTarget {
  readonly name: string;
  readonly faults: string[] = [];
  /** Number of connections so far. */
  connections = 0;
  readonly #n: number;
  readonly #dialect: Dialect;
  readonly #host: string;
  readonly #port: number;
  readonly #live = new Map<LivePeer, Responder>();
  #server: Server | null = null;

  private constructor(n: number, port: number) {
    this.name = `target-${n + 1}`;
    this.#n = n;
    this.#dialect = n % 2 === 0 ? 'linkid' : 'circuit';
    this.#host = `127.0.3.${n + 1}`;
    this.#port = port;
  }

  static async start(n: number): Promise<SoakTarget> {
    const target = new SoakTarget(n, await freePort());
    await target.come();
    return target;
  }

  /** Established connections. */
  get live(): readonly LivePeer[] {
    return [...this.#live.keys()];
  }

  /** Orders volconf to keep a connection to this target; tries until volconf accepts the order. */
  async order(volconfPort: number): Promise<void> {
    const dialect = this.#dialect === 'linkid' ? ProtoDialect.DIALECT_LINKID : ProtoDialect.DIALECT_CIRCUIT;
    const request = { name: this.name, path: `span:${this.#host}:${this.#port}`, dialect };
    await insist(volconfPort, (client, options, done) => client.setTarget(request, new Metadata(), options, done));
  }

  /** Has volconf keep none any more. */
  async cancel(volconfPort: number): Promise<void> {
    const { name } = this;
    await insist(volconfPort, (client, options, done) => client.removeTarget({ name }, new Metadata(), options, done));
  }

  async come(): Promise<void> {
    if (this.#server !== null) return;
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      void this.#accept(new RawPeer(socket, this.#dialect, this.name));
    });
    this.#server = server;
    server.listen(this.#port, this.#host);
    await once(server, 'listening');
  }

  /** Stops listening, and resets established connections. */
  go(): void {
    this.#server?.close();
    this.#server = null;
    for (const { raw } of this.live) raw.reset();
  }

  /** Violations that are left when everything is quiet. */
  findings(): string[] {
    const { live, name } = this;
    const count = live.length === 1 ? [] : [`${name} has ${live.length} connections`];
    const hanging = [...this.#live.values()].reduce((sum, responder) => sum + responder.hanging, 0);
    return [
      ...count,
      ...(hanging === 0 ? [] : [`${name} has ${hanging} transactions open`]),
      ...live.flatMap(({ raw }) => raw.inbox.map((message) => `${name}: ${describeMessage(message)} came`)),
    ];
  }

  async #accept(raw: RawPeer): Promise<void> {
    const peer = LivePeer.over(raw);
    this.#live.set(peer, new Responder(peer));
    this.connections++;
    void raw.ended.then(() => {
      if (raw.fault !== null) this.faults.push(String(raw.fault));
      this.#live.delete(peer);
      raw.destroy();
    });
    try {
      await peer.openConn({ label: this.name, cluster: testUuid(FIRST_NODE + this.#n) });
      peer.openSpan({ node: testUuid(FIRST_NODE + this.#n), cluster: testUuid(FIRST_NODE + this.#n) });
    } catch {
      raw.destroy();
    }
  }
}

type Order = (client: VolconfClient, options: { deadline: number }, done: (error: ServiceError | null) => void) => void;

/** Orders until it has been done. */
async function insist(volconfPort: number, order: Order): Promise<void> {
  const client = new VolconfClient(`127.0.0.1:${volconfPort}`, credentials.createInsecure());
  const isDone = () =>
    new Promise<boolean>((resolve) => {
      order(client, { deadline: Date.now() + ORDER_MS }, (error) => resolve(error === null));
    });
  while (!(await isDone())) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  client.close();
}
