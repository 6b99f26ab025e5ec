import { setTimeout as pause } from 'node:timers/promises';
import { credentials, Metadata } from '@grpc/grpc-js';
import { encodeVolconf, LNK_VOLCONF_BYTES } from '@spanmesh/dmsg/payload/lnk-volconf';
import { EventKind, EventsClient, type ListEventsResponse } from '@spanmesh/proto/v1/events';
import { type ListProcessesResponse, ProcessClient } from '@spanmesh/proto/v1/process';
import { TopologyClient } from '@spanmesh/proto/v1/topology';
import { Dialect as ApiDialect } from '@spanmesh/proto/v1/types';
import { BusyPairs } from '../peer/busy-pairs.ts';
import { LivePeer } from '../peer/live-peer.ts';
import { NIL_UUID, testUuid } from '../peer/payloads.ts';
import { PATIENCE_MS } from '../peer/raw-peer.ts';
import { DialledHost } from '../peer/volconf-world.ts';
import { LNK_VOLCONF } from '../peer/wire.ts';
import { HONEST_TYPE, OVER_TRUNK } from './honest-type.ts';
import type { Told } from './verdict.ts';
import type { AttackWorld } from './world.ts';

/** Milliseconds between two transactions of a peer, between two calls of the API user, and between two new spans. */
const ASK_MS = 5;
const CALL_MS = 20;
const SPAN_MS = 100;
/** The media id of an honest peer, and its node. */
export const HONEST_MEDIA = testUuid(0x600d00aa);
const GIVER = testUuid(0x600d0001);
/** Number of the first node of the short-lived spans. */
const FIRST_NODE = 0x60000000;

/** What the honest have done so far. */
export interface Count {
  readonly trips: number;
  readonly calls: number;
}

/**
 * Those whose service is measured, in this process: a pair of peers of each dialect that route transactions to each
 * other, and one whose two are on different gateways, a peer that offers new spans to another one, one with a target
 * that the installation keeps connected, and a user of the API.
 */
export class Honest {
  /** The longest time that a new span took to be relayed since the last `fresh`, ms. */
  slowestSpan = 0;
  readonly #pairs: BusyPairs[] = [];
  readonly #peers: LivePeer[] = [];
  readonly #client: TopologyClient;
  readonly #events: EventsClient;
  readonly #processes: ProcessClient;
  readonly #metadata = new Metadata();
  readonly #target: DialledHost;
  readonly #faults: string[] = [];
  #calls = 0;
  #stopped = false;
  /** When the new span was opened whose relay is awaited at present; null: no relay is awaited. */
  #spanBegan: number | null = null;

  private constructor(world: AttackWorld) {
    this.#target = new DialledHost('127.0.0.1', world.targetPort, 'circuit');
    const address = `127.0.0.1:${world.target(0, false).grpc}`;
    this.#client = new TopologyClient(address, credentials.createInsecure());
    this.#events = new EventsClient(address, credentials.createInsecure());
    this.#processes = new ProcessClient(address, credentials.createInsecure());
    this.#metadata.set('authorization', `Bearer ${world.honestToken}`);
  }

  static async start(world: AttackWorld): Promise<Honest> {
    const made = new Honest(world);
    const { linkid, circuit } = world.target(0, false);
    for (const [dialect, port, n] of [
      ['linkid', linkid, 11],
      ['circuit', circuit, 13],
    ] as const) {
      const pairs = await BusyPairs.start({
        port,
        dialect,
        pairs: 1,
        addressOf: (peer) => `127.0.0.${n + peer}`,
        peerType: HONEST_TYPE[dialect],
      });
      made.#pairs.push(pairs);
      made.#peers.push(...pairs.peers);
      pairs.run(ASK_MS);
    }
    // The owner is on the first gateway, and asked over the trunk.
    const { there } = world.target(0, false);
    const over = await BusyPairs.start({
      port: (n) => (n === 0 ? circuit : there.circuit),
      dialect: 'circuit',
      pairs: 1,
      addressOf: (n) => `127.0.0.${18 + n}`,
      ...OVER_TRUNK,
    });
    made.#pairs.push(over);
    made.#peers.push(...over.peers);
    over.run(ASK_MS);
    await made.#keepTarget(circuit);
    const giver = await made.#peer(circuit, 15, 0n);
    const taker = await made.#peer(circuit, 16, 1n << BigInt(HONEST_TYPE.circuit));
    void made.#offer(giver, taker).catch((error) => made.#fault(`new spans: ${error}`));
    void made.#call();
    return made;
  }

  get count(): Count {
    return { trips: this.#pairs.reduce((all, { answered }) => all + answered[0]!, 0), calls: this.#calls };
  }

  /** What the installation tells of limits and orders since then: who is named for what. */
  async events(since: Date): Promise<Told[]> {
    const kinds = [EventKind.EVENT_KIND_LIMIT_HIT, EventKind.EVENT_KIND_OPERATOR_ACT];
    const request = { pageSize: 5_000, pageToken: '', kinds, since, subject: '' };
    const { events } = await ask<ListEventsResponse>((done) =>
      this.#events.listEvents(request, this.#metadata, { deadline: Date.now() + PATIENCE_MS }, done),
    );
    return events.map(({ principal, limit, operator }) => ({
      principal: operator?.who ?? principal,
      of: limit?.limit ?? operator?.method ?? '',
    }));
  }

  /** Who is at a limit of one of the processes now, as they say themselves. */
  async atLimits(): Promise<Told[]> {
    const { processes } = await ask<ListProcessesResponse>((done) =>
      this.#processes.listProcesses({}, this.#metadata, { deadline: Date.now() + PATIENCE_MS }, done),
    );
    return processes.flatMap(({ atLimits }) => atLimits.map(({ principal, limit }) => ({ principal, of: limit })));
  }

  /** Returns faults that honest peers have seen, and forgets them. */
  takeFaults(): string[] {
    for (const { raw } of this.#peers) {
      raw.log.length = 0;
      raw.inbox.length = 0;
    }
    return [...this.#faults.splice(0), ...this.#pairs.flatMap(({ faults }) => faults.splice(0))];
  }

  /** Begins a new measurement of new spans. */
  fresh(): void {
    this.slowestSpan = 0;
  }

  /** The longest time, including that of a span whose relay is still awaited. */
  get slowest(): number {
    return Math.max(this.slowestSpan, this.#spanBegan === null ? 0 : performance.now() - this.#spanBegan);
  }

  stop(): void {
    this.#stopped = true;
    for (const pairs of this.#pairs) pairs.stop();
    for (const { raw } of this.#peers) raw.destroy();
    this.#target.stop();
    for (const client of [this.#client, this.#events, this.#processes]) client.close();
  }

  async #peer(port: number, n: number, peerMask: bigint): Promise<LivePeer> {
    const peer = await LivePeer.connect({
      port,
      dialect: 'circuit',
      localAddress: `127.0.0.${n}`,
      name: `honest ${n}`,
    });
    await peer.openConn({ label: `honest ${n}`, peerMask });
    this.#watch(peer);
    return peer;
  }

  #watch(peer: LivePeer): void {
    this.#peers.push(peer);
    void peer.raw.ended.then((how) => this.#fault(`${peer.raw.name}: the connection has ended (${how})`));
  }

  async #offer(giver: LivePeer, taker: LivePeer): Promise<void> {
    for (let n = FIRST_NODE; !this.#stopped; n++) {
      const node = testUuid(n);
      const began = performance.now();
      this.#spanBegan = began;
      const span = giver.openSpan({ cluster: GIVER, node, peerType: HONEST_TYPE.circuit, nodeLabel: 'new' });
      await taker.relay((one) => one.node === node, 'a new span');
      this.slowestSpan = Math.max(this.slowestSpan, performance.now() - began);
      this.#spanBegan = null;
      await giver.close(span);
      await pause(SPAN_MS);
    }
  }

  async #call(): Promise<void> {
    while (!this.#stopped) {
      await new Promise<void>((resolve) => {
        const request = { pageSize: 10, pageToken: '', dialect: ApiDialect.DIALECT_UNSPECIFIED, gateway: '' };
        this.#client.listConnections(request, this.#metadata, { deadline: Date.now() + PATIENCE_MS }, (error) => {
          if (error === null) this.#calls++;
          else this.#fault(`the API user: ${error.message}`);
          resolve();
        });
      });
      await pause(CALL_MS);
    }
  }

  /** Connects a peer with a media, one slot of which names a host of ours. The connection to that host must stay. */
  async #keepTarget(port: number): Promise<void> {
    await this.#target.listen();
    const owner = await LivePeer.connect({ port, dialect: 'circuit', localAddress: '127.0.0.17', name: 'honest 17' });
    this.#watch(owner);
    const msgid = await owner.openConn({ label: 'honest 17', peerMask: 0n, media: HONEST_MEDIA });
    const body = Buffer.alloc(LNK_VOLCONF_BYTES);
    const copy = { copyId: 1, inprog: 0, chainTo: 0, chainFrom: 0, flags: 1, error: 0, priority: 0, remotePfsType: 0 };
    const path = `span:127.0.0.1:${this.#target.port}`;
    encodeVolconf({ index: 0, mediaId: HONEST_MEDIA, copy: { ...copy, pfsClid: NIL_UUID, label: '', path } }, body, 0);
    owner.raw.send({ cmd: LNK_VOLCONF, msgid, body });
    const target = LivePeer.over(await this.#target.next());
    await target.openConn({ label: 'honest target', peerMask: 0n });
    this.#watch(target);
  }

  #fault(what: string): void {
    if (!this.#stopped) this.#faults.push(what);
  }
}

function ask<Answer>(call: (done: (error: Error | null, answer: Answer) => void) => unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    call((error, answer) => (error === null ? resolve(answer) : reject(error)));
  });
}
