import { type ClientReadableStream, type ServiceError, status } from '@grpc/grpc-js';
import {
  type Change,
  ChangeKind,
  ListConnectionsRequest,
  type ListConnectionsResponse,
  TopologyClient,
  type WatchResponse,
} from '@spanmesh/proto/v1/topology';
import { createClient } from '@spanmesh/runtime/grpc/grpc-client';
import { type Trees, treesOf } from '../peer/trees.ts';
import type { Kernel, SimProcess } from './kernel.ts';
import { API_PORT, simSecurity } from './processes.ts';

/** Pause before a watch that has ended is taken up again, ms. */
const RETRY_MS = 300;

/** Somebody outside who follows the API: lists once, and lives by changes from then on, at whichever replica answers. */
export class SimWatcher {
  /** Times that a watch was resumed, and that it had to list again. */
  resumed = 0;
  listed = 0;
  readonly process: SimProcess;
  readonly #kernel: Kernel;
  readonly #replicas: readonly string[];
  readonly #connections = new Set<string>();
  readonly #links = new Set<string>();
  /** Link → LNK_CONNs. */
  readonly #relays = new Map<string, Set<string>>();
  #revision: string | null = null;

  /** `replicas`: hosts of topologies. */
  constructor(kernel: Kernel, process: SimProcess, replicas: readonly string[]) {
    this.#kernel = kernel;
    this.process = process;
    this.#replicas = replicas;
    kernel.next(process, () => void this.#run());
  }

  /** How what it believes differs from what a replica shows now. */
  differences({ connections, links, relays }: Trees): string[] {
    const have = [...this.#relays].flatMap(([link, lnkConns]) => [...lnkConns].map((lnkConn) => `${link}>${lnkConn}`));
    return [
      ...compare('connection', this.#connections, new Set(connections.map(({ id }) => id))),
      ...compare('link', this.#links, new Set(links.map(({ id }) => id))),
      ...compare('relay', new Set(have), new Set(relays.map(({ link, lnkConn }) => `${link}>${lnkConn}`))),
    ];
  }

  async #run(): Promise<void> {
    for (;;) {
      const host = this.process.random.pick(this.#replicas);
      const security = simSecurity(this.#kernel.network, this.process);
      const client = createClient(TopologyClient, `${host}:${API_PORT}`, { security });
      try {
        if (this.#revision === null) await this.#list(client);
        else this.resumed++;
        await this.#watch(client);
      } catch {
        // Another replica, or the same later.
      }
      client.close();
      await new Promise<void>((resolve) => this.process.clock.after(RETRY_MS, resolve));
    }
  }

  async #list(client: TopologyClient): Promise<void> {
    // Its revision first: what changes while the rest is listed comes once more.
    const revision = await new Promise<string>((resolve, reject) => {
      client.listConnections(
        ListConnectionsRequest.create({ pageSize: 1 }),
        (error: ServiceError | null, answer: ListConnectionsResponse) =>
          error === null ? resolve(answer.revision) : reject(error),
      );
    });
    const trees = await treesOf(client);
    this.listed++;
    this.#connections.clear();
    this.#links.clear();
    this.#relays.clear();
    for (const { id } of trees.connections) this.#connections.add(id);
    for (const { id } of trees.links) this.#links.add(id);
    for (const { link, lnkConn } of trees.relays) this.#relaysOf(link).add(lnkConn);
    this.#revision = revision;
  }

  #watch(client: TopologyClient): Promise<void> {
    const stream: ClientReadableStream<WatchResponse> = client.watch({
      revision: this.#revision ?? '',
      withRelays: true,
    });
    return new Promise((resolve, reject) => {
      stream.on('data', ({ changes, progress, listAgain }: WatchResponse) => {
        if (listAgain !== undefined) this.#revision = null;
        if (progress !== undefined) this.#revision = progress.revision;
        if (changes === undefined) return;
        for (const change of changes.changes) this.#apply(change);
        this.#revision = changes.revision;
      });
      stream.on('end', resolve);
      stream.on('error', (error: ServiceError) => {
        if (error.code === status.INVALID_ARGUMENT) this.#revision = null;
        reject(error);
      });
    });
  }

  #apply({ kind, connection, link, lnkConn, relays }: Change): void {
    const isGone = kind === ChangeKind.CHANGE_KIND_REMOVED;
    if (connection !== undefined) {
      if (isGone) this.#connections.delete(connection.id);
      else this.#connections.add(connection.id);
    }
    if (link !== undefined) {
      if (!isGone) this.#links.add(link.id);
      else {
        this.#links.delete(link.id);
        this.#relays.delete(link.id);
      }
    }
    if (lnkConn !== undefined && isGone) for (const lnkConns of this.#relays.values()) lnkConns.delete(lnkConn.id);
    if (relays !== undefined) {
      const there = this.#relaysOf(relays.link);
      for (const id of relays.lnkConns) {
        if (isGone) there.delete(id);
        else there.add(id);
      }
    }
  }

  #relaysOf(link: string): Set<string> {
    let found = this.#relays.get(link);
    if (found === undefined) {
      found = new Set();
      this.#relays.set(link, found);
    }
    return found;
  }
}

function compare(what: string, has: ReadonlySet<string>, should: ReadonlySet<string>): string[] {
  return [
    ...[...should].filter((one) => !has.has(one)).map((one) => `a watcher has missed the ${what} ${one}`),
    ...[...has].filter((one) => !should.has(one)).map((one) => `a watcher still has the ${what} ${one}`),
  ];
}
