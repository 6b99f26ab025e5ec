import { type ClientReadableStream, type ServiceError, status } from '@grpc/grpc-js';
import {
  ListConnectionsRequest,
  type ListConnectionsResponse,
  TopologyClient,
  type WatchResponse,
} from '@spanmesh/proto/v1/topology';
import { createClient } from '@spanmesh/runtime/grpc/grpc-client';
import { Mirror } from '../peer/mirror.ts';
import { type Trees, treesOf } from '../peer/trees.ts';
import type { Kernel, SimProcess } from './kernel.ts';
import { API_PORT, simSecurity } from './processes.ts';

/** Pause before a watch that has ended is resumed, ms. */
const RETRY_MS = 300;

/** A client that follows the API: it lists once and then applies the changes, asking any replica that answers. */
export class SimWatcher {
  /** How often a watch was resumed, and how often the client had to list again. */
  resumed = 0;
  listed = 0;
  readonly process: SimProcess;
  readonly #kernel: Kernel;
  readonly #replicas: readonly string[];
  readonly #mirror = new Mirror();
  #revision: string | null = null;

  /** `replicas`: hosts of the topologies. */
  constructor(kernel: Kernel, process: SimProcess, replicas: readonly string[]) {
    this.#kernel = kernel;
    this.process = process;
    this.#replicas = replicas;
    kernel.next(process, () => void this.#run());
  }

  /** How its trees differ from those that a replica shows now. */
  differences(trees: Trees): string[] {
    return this.#mirror.differences(trees);
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
        // Tries another replica, or the same one later.
      }
      client.close();
      await new Promise<void>((resolve) => this.process.clock.after(RETRY_MS, resolve));
    }
  }

  async #list(client: TopologyClient): Promise<void> {
    // The revision first: changes made during the listing are then reported once more.
    const revision = await new Promise<string>((resolve, reject) => {
      client.listConnections(
        ListConnectionsRequest.create({ pageSize: 1 }),
        (error: ServiceError | null, answer: ListConnectionsResponse) =>
          error === null ? resolve(answer.revision) : reject(error),
      );
    });
    const trees = await treesOf(client);
    this.listed++;
    this.#mirror.take(trees);
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
        for (const change of changes.changes) this.#mirror.apply(change);
        this.#revision = changes.revision;
      });
      stream.on('end', resolve);
      stream.on('error', (error: ServiceError) => {
        if (error.code === status.INVALID_ARGUMENT) this.#revision = null;
        reject(error);
      });
    });
  }
}
