import { type ClientReadableStream, credentials, type ServiceError, status } from '@grpc/grpc-js';
import {
  ListConnectionsRequest,
  type ListConnectionsResponse,
  TopologyClient,
  type WatchResponse,
} from '@spanmesh/proto/v1/topology';
import { Random } from '../fuzz/random.ts';
import { Mirror } from '../peer/mirror.ts';
import { type Trees, treesOf } from '../peer/trees.ts';

/** Pause before a watch that has ended is resumed, ms. */
const RETRY_MS = 300;
/** The watcher ends a watch itself after this time, and up to twice that, ms, and resumes it at another replica. */
const WATCH_MS = 2_000;

/** A client that follows the API: it lists once and then applies the changes, asking one replica after the other. */
export class SoakWatcher {
  /** How often a watch was resumed, and how often the client had to list again. */
  resumed = 0;
  listed = 0;
  readonly #random: Random;
  readonly #ports: () => readonly number[];
  readonly #mirror = new Mirror();
  #revision: string | null = null;
  #client: TopologyClient | null = null;
  #isStopped = false;

  /** `ports`: the gRPC ports of the topologies. */
  constructor(n: number, { seed, ports }: { seed: number; ports: () => readonly number[] }) {
    this.#random = new Random(seed, 0x20000 + n);
    this.#ports = ports;
    void this.#run();
  }

  /** How its trees differ from those that a replica shows now. */
  differences(trees: Trees): string[] {
    if (this.#revision === null) return ['a watcher has not listed anything'];
    return this.#mirror.differences(trees);
  }

  stop(): void {
    this.#isStopped = true;
    this.#client?.close();
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const client = new TopologyClient(`127.0.0.1:${this.#random.pick(this.#ports())}`, credentials.createInsecure());
      this.#client = client;
      try {
        if (this.#revision === null) await this.#list(client);
        else this.resumed++;
        await this.#watch(client);
      } catch {
        // Tries another replica, or the same one later.
      }
      client.close();
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
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
    this.#mirror.take(await treesOf(client));
    this.#revision = revision;
    this.listed++;
  }

  #watch(client: TopologyClient): Promise<void> {
    const stream: ClientReadableStream<WatchResponse> = client.watch({
      revision: this.#revision ?? '',
      withRelays: true,
    });
    const enough = setTimeout(() => stream.cancel(), WATCH_MS + this.#random.below(WATCH_MS));
    return new Promise<void>((resolve, reject) => {
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
    }).finally(() => clearTimeout(enough));
  }
}
