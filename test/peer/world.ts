import { until } from '@spanmesh/runtime/patience.fixture';
import { startStandalone } from '@spanmesh/standalone/standalone';
import { LivePeer, type LivePeerOptions, MARKER_CLUSTER } from './live-peer.ts';
import { testUuid } from './payloads.ts';
import { RawPeer, type RawPeerOptions } from './raw-peer.ts';
import { emptied, scrape } from './scrape.ts';
import type { Dialect } from './wire.ts';

type Standalone = Awaited<ReturnType<typeof startStandalone>>;

/** Settings of the tests' router: listeners of each kind, all on free loopback ports, and no log output. */
const SETTINGS: Record<string, string> = {
  SPANMESH_DMSG_LISTEN: 'linkid://127.0.0.1:0,circuit://127.0.0.1:0,127.0.0.1:0',
  // All peers are on this host.
  SPANMESH_DIAL_ALLOW: '127.0.0.0/8:*',
  SPANMESH_GRPC_LISTEN: '127.0.0.1:0',
  SPANMESH_HTTP_LISTEN: '127.0.0.1:0',
  SPANMESH_LOG_LEVEL: 'silent',
};

export type Counts = Record<string, number>;

export interface WorldOptions {
  /**
   * Dialect of the markers (see `settled`). Choose the one that the test does not use: a marker's span is never relayed
   * to peers of the other dialect.
   */
  markers: Dialect;
  settings?: Record<string, string>;
}

/** A whole router in this process, over real TCP, with means to find out when it has become quiet. */
export class World {
  readonly standalone: Standalone;
  /** The router's counts when only the markers' connections exist. */
  baseline: Counts = {};
  readonly #giver: LivePeer;
  readonly #watcher: LivePeer;
  readonly #peers = new Set<RawPeer>();
  #markers = 0;
  #stopped: Promise<void> | null = null;

  private constructor(standalone: Standalone, giver: LivePeer, watcher: LivePeer) {
    this.standalone = standalone;
    this.#giver = giver;
    this.#watcher = watcher;
  }

  static async start(options: WorldOptions): Promise<World> {
    const standalone = await startStandalone({ ...SETTINGS, ...options.settings });
    try {
      const where = { port: portOf(standalone, options.markers), dialect: options.markers };
      const giver = await LivePeer.connect({ ...where, localAddress: '127.0.0.254', name: 'marker giver' });
      const watcher = await LivePeer.connect({ ...where, localAddress: '127.0.0.253', name: 'marker watcher' });
      await watcher.openConn();
      const world = new World(standalone, giver, watcher);
      await world.settled();
      // A gateway ends the relays of a lost link by itself, so the tree may be told of the marker's end last.
      const empty = () => ['links', 'relays', 'treeLinks', 'treeRelays'].every((key) => standalone.counts()[key] === 0);
      await until(empty, () => `an empty router: ${JSON.stringify(standalone.counts())}`);
      world.baseline = standalone.counts();
      return world;
    } catch (error) {
      await standalone.stop();
      throw error;
    }
  }

  /** Port of the listener with this dialect; null: of the one that waits for the dialect. */
  port(dialect: Dialect | null): number {
    return portOf(this.standalone, dialect);
  }

  async live(dialect: Dialect, options: Partial<LivePeerOptions> = {}): Promise<LivePeer> {
    const peer = await LivePeer.connect({ port: this.port(dialect), dialect, ...options });
    this.#peers.add(peer.raw);
    return peer;
  }

  async raw(dialect: Dialect, options: Partial<RawPeerOptions> = {}): Promise<RawPeer> {
    const peer = await RawPeer.connect({ port: this.port(dialect), dialect, ...options });
    this.#peers.add(peer);
    return peer;
  }

  /**
   * Resolves when everything that `peers` sent before has had all its effects, and these have arrived at `peers`. From
   * then on, a message that is not there will not come.
   * 1. A barrier on each peer: the router's connections have read what the peers sent.
   * 2. A marker span is opened on an additional connection, and its relay awaited on another one. Relays are not
   *    decided in the connections and may come after a barrier's answer, but changes are decided and obeyed in order:
   *    when the marker's relay arrives, all relays that follow from 1 have been opened or closed. Then the marker is
   *    closed.
   * 3. A barrier on each peer: what the router wrote to it has arrived. The markers speak the dialect that the test
   *    does not use, so no other peer sees them.
   */
  async settled(...peers: (LivePeer | RawPeer)[]): Promise<void> {
    const open = peers.map((peer) => (peer instanceof LivePeer ? peer.raw : peer)).filter((peer) => !peer.isEnded);
    await Promise.all(open.map((peer) => peer.barrier()));
    const node = testUuid(++this.#markers);
    const marker = this.#giver.openSpan({ cluster: MARKER_CLUSTER, node });
    await this.#watcher.relay((span) => span.node === node, 'a marker');
    await this.#giver.close(marker);
    await this.#watcher.relayGone((span) => span.node === node, 'the end of a marker');
    await Promise.all(open.map((peer) => peer.barrier()));
  }

  counts(): Counts {
    return this.standalone.counts();
  }

  /** Closes every peer that is left and waits until the router has forgotten them all. */
  async clear(): Promise<void> {
    for (const peer of this.#peers) peer.destroy();
    this.#peers.clear();
    await this.idle();
  }

  /** Waits until the router's counts are those from before the first peer: nothing was kept. */
  async idle(): Promise<void> {
    await until(
      () => sameCounts(this.counts(), this.baseline),
      () => `counts are ${JSON.stringify(this.counts())}, at the start they were ${JSON.stringify(this.baseline)}`,
    );
  }

  /** Samples of the router's metrics: name with labels → value. */
  metrics(): Promise<Map<string, number>> {
    return scrape(this.standalone.httpPort);
  }

  /** Stops the router in order while the peers are still connected. Later calls wait for the first. */
  stopRouter(): Promise<void> {
    const stopped = this.#stopped ?? this.standalone.stop();
    this.#stopped = stopped;
    return stopped;
  }

  /** Everybody goes, and nothing of them is left in the router; one that was stopped before has nothing. */
  async stop(): Promise<void> {
    for (const peer of this.#peers) peer.destroy();
    this.#giver.raw.destroy();
    this.#watcher.raw.destroy();
    try {
      if (this.#stopped === null) await emptied([{ http: this.standalone.httpPort, name: 'standalone' }]);
    } finally {
      await this.stopRouter();
    }
  }
}

function sameCounts(a: Counts, b: Counts): boolean {
  return Object.keys(b).every((key) => a[key] === b[key]);
}

function portOf(standalone: Standalone, dialect: Dialect | null): number {
  const listener = standalone.dmsg.find((one) => one.dialect === dialect);
  if (listener === undefined) throw new Error(`no listener for ${dialect}`);
  return listener.port;
}
