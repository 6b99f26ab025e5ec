import { EventEmitter, once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { TopologyLocator } from '@spanmesh/link-gateway/attach/topology-locator';
import { createGateway } from '@spanmesh/link-gateway/gateway';
import type { Gateway } from '@spanmesh/link-gateway/gateway-service';
import { KEPT as GATEWAY_KEPT } from '@spanmesh/link-gateway/gateway-service';
import { gatewaySettings } from '@spanmesh/link-gateway/settings';
import { ALL_EVENTS } from '@spanmesh/runtime/bus/bus-names';
import { InProcessBus } from '@spanmesh/runtime/bus/in-process/in-process-bus';
import { systemClock } from '@spanmesh/runtime/clock';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { Metrics } from '@spanmesh/runtime/metrics';
import { until } from '@spanmesh/runtime/patience.fixture';
import { ProcessPorts } from '@spanmesh/runtime/process/process-ports';
import { processSettings } from '@spanmesh/runtime/process/process-settings';
import { systemRandom } from '@spanmesh/runtime/random';
import { readSettings } from '@spanmesh/runtime/settings/setting';
import { leftIn } from '@spanmesh/runtime/table-sizes';
import { LINK_GATEWAY_NAME, SERVICE_NAMES } from '@spanmesh/runtime/tls/service-names';
import { NO_TRACING, type Tracing } from '@spanmesh/runtime/trace/tracing';
import { KEPT as TOPOLOGY_KEPT } from '@spanmesh/topology/core';
import { settings as topologySettings } from '@spanmesh/topology/settings';
import { createTopology, type Topology } from '@spanmesh/topology/topology';
import { settings as volconfSettings } from '@spanmesh/volconf/settings';
import { createVolconf, type Volconf } from '@spanmesh/volconf/volconf';
import { LivePeer, MARKER_CLUSTER } from './live-peer.ts';
import { testUuid } from './payloads.ts';
import { PATIENCE_MS, RawPeer } from './raw-peer.ts';
import { SERVICES } from './scrape.ts';
import type { Dialect } from './wire.ts';

const settings = {
  ...processSettings({ grpc: '127.0.0.1:0', service: '127.0.0.1:0', http: '127.0.0.1:0' }),
  ...gatewaySettings,
  ...topologySettings,
  ...volconfSettings,
};

/** A host that the router is told to connect to. It accepts connections and does not answer on them. */
export class DialledHost {
  readonly host: string;
  readonly peers: RawPeer[] = [];
  readonly #dialect: Dialect;
  readonly #accepted: (peer: RawPeer) => void;
  #server: Server | null = null;
  #taken = 0;
  port: number;

  /** `accepted`: called with each connection before anything is read. */
  constructor(host: string, port: number, dialect: Dialect, accepted: (peer: RawPeer) => void = () => {}) {
    this.host = host;
    this.port = port;
    this.#dialect = dialect;
    this.#accepted = accepted;
  }

  async listen(): Promise<this> {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      const peer = new RawPeer(socket, this.#dialect, `${this.host} ${this.peers.length}`);
      this.#accepted(peer);
      this.peers.push(peer);
    });
    this.#server.listen(this.port, this.host);
    await once(this.#server, 'listening');
    this.port = (this.#server.address() as { port: number }).port;
    return this;
  }

  /** Waits for the next connection that the router makes. */
  async next(): Promise<RawPeer> {
    const giveUp = AbortSignal.timeout(PATIENCE_MS);
    while (this.peers.length <= this.#taken) await once(this.#server!, 'connection', { signal: giveUp });
    return this.peers[this.#taken++]!;
  }

  /** Established connections. */
  get open(): number {
    return this.peers.filter(({ isEnded }) => !isEnded).length;
  }

  /** Stops listening; established connections stay. */
  async refuse(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    server?.close();
  }

  stop(): void {
    for (const peer of this.peers) peer.destroy();
    void this.refuse();
  }
}

/** A gateway, topology and volconf in this process, over real TCP and gRPC, with host names that the test resolves. */
export class VolconfWorld {
  readonly gateway: Gateway;
  readonly topology: Topology;
  readonly volconf: Volconf;
  readonly ports: ProcessPorts;
  /** Host name → addresses; other names have none. */
  readonly names = new Map<string, string[]>();
  /** Emits `change` for every change of a target. */
  readonly events = new EventEmitter();
  readonly #bus: InProcessBus;
  #giver: LivePeer | null = null;
  #watcher: LivePeer | null = null;
  #marker = 0;

  private constructor(env: Record<string, string>, tracing: Pick<Tracing, 'tracer' | 'counts'>) {
    const options = readSettings(settings, {
      env: {
        SPANMESH_DMSG_LISTEN: 'linkid://127.0.0.1:0,circuit://127.0.0.1:0',
        // All targets are on this host.
        SPANMESH_DIAL_ALLOW: '127.0.0.0/8:*',
        SPANMESH_LOG_LEVEL: 'silent',
        SPANMESH_VOLCONF_RETRY_FIRST: '100ms',
        ...env,
      },
      flags: {},
    });
    const logger = createLogger({ level: 'silent', service: 'test' });
    const metrics = new Metrics();
    const bus = new InProcessBus({
      onError: (error) => {
        throw error;
      },
    });
    this.#bus = bus;
    bus.subscribe(ALL_EVENTS, () => this.events.emit('change'));
    const ports = new ProcessPorts(options, { ready: () => null, metrics, logger, names: SERVICE_NAMES, tracing });
    this.ports = ports;
    const common = { bus, clock: systemClock, logger, metrics, random: systemRandom, tracing };
    this.topology = createTopology(
      { settings: options, address: () => ports.serviceAddress, version: 'test' },
      { ...common, apiServer: ports.api, serviceServer: ports.service },
    );
    this.gateway = createGateway(options, {
      ...common,
      installation: options.installation,
      locator: new TopologyLocator({ addresses: () => [ports.serviceAddress] }, { bus: null, clock: systemClock }),
      // biome-ignore lint/correctness/useYield: nobody asks for the tree.
      treeSource: async function* () {
        throw new Error('not here');
      },
      resolve: async (host) => {
        const addresses = /^[\d.]+$/.test(host) ? [host] : (this.names.get(host) ?? []);
        if (addresses.length === 0) throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' });
        return addresses;
      },
      ports,
    });
    this.volconf = createVolconf(
      { settings: options, address: () => ports.apiAddress },
      { ...common, grpcServer: ports.api, security: ports.security.channel(LINK_GATEWAY_NAME) },
    );
  }

  /** `markers`: the dialect that the test does not use (see World.settled). */
  static async start({
    markers = 'circuit',
    env = {},
    tracing = NO_TRACING,
  }: {
    markers?: Dialect;
    env?: Record<string, string>;
    tracing?: Pick<Tracing, 'tracer' | 'counts'>;
  } = {}) {
    const world = new VolconfWorld(env, tracing);
    await world.ports.start();
    await world.topology.start();
    await world.volconf.start();
    await world.gateway.start();
    const where = { port: world.port(markers), dialect: markers };
    world.#giver = await LivePeer.connect({ ...where, localAddress: '127.0.0.254', name: 'marker giver' });
    world.#watcher = await LivePeer.connect({ ...where, localAddress: '127.0.0.253', name: 'marker watcher' });
    // The marker's media id is its own: the slots of a media go with its last LNK_CONN, and recorded clients have the
    // nil media id.
    await world.#watcher.openConn({ media: testUuid(0xffff) });
    await world.settled([]);
    return world;
  }

  port(dialect: Dialect): number {
    return this.gateway.ports.find((one) => one.dialect === dialect)!.port;
  }

  /** Resolves when everything sent on these peers has had its effects (see World.settled). */
  async settled(peers: RawPeer[]): Promise<void> {
    const open = peers.filter((peer) => !peer.isEnded);
    await Promise.all(open.map((peer) => peer.barrier()));
    const node = testUuid(++this.#marker);
    const marker = this.#giver!.openSpan({ cluster: MARKER_CLUSTER, node });
    await this.#watcher!.relay((span) => span.node === node, 'a marker');
    await this.#giver!.close(marker);
    await this.#watcher!.relayGone((span) => span.node === node, 'the end of a marker');
    await Promise.all(open.map((peer) => peer.barrier()));
  }

  /** Everybody goes, and nothing of peers is left; operators' targets are there until they are removed. */
  async stop(): Promise<void> {
    this.#giver?.raw.destroy();
    this.#watcher?.raw.destroy();
    const left = () => [
      ...leftIn(this.gateway.tables(), { ...GATEWAY_KEPT, ...SERVICES }),
      ...leftIn(this.topology.core.tables(), { ...TOPOLOGY_KEPT, ...SERVICES }),
    ];
    try {
      await until(
        () => left().length === 0,
        () => `something is left: ${left().join(', ')}`,
      );
    } finally {
      await this.volconf.stop();
      await this.gateway.stop();
      await this.topology.stop();
      await this.ports.stop();
      await this.#bus.close();
    }
  }
}
