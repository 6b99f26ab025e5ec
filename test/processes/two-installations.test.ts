import { main } from '@spanmesh/ctl/main';
import { RecordingTerminal } from '@spanmesh/ctl/terminal.fixture';
import { NatsServerProcess } from '@spanmesh/runtime/bus/nats/nats-server.fixture';
import { freePort } from '@spanmesh/runtime/free-port.fixture';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ServiceProcess } from '../peer/installation.ts';
import { LivePeer } from '../peer/live-peer.ts';
import { PATIENCE_MS } from '../peer/raw-peer.ts';

/** A topology, a gateway and two peers, on a NATS server that another such installation uses, too. */
class Neighbour {
  readonly name: string;
  topology: ServiceProcess;
  readonly gateway: ServiceProcess;
  readonly peers: readonly LivePeer[] = [];

  private constructor(name: string, topology: ServiceProcess, gateway: ServiceProcess, peers: readonly LivePeer[]) {
    this.name = name;
    this.topology = topology;
    this.gateway = gateway;
    this.peers = peers;
  }

  static async start(name: string, nats: NatsServerProcess): Promise<Neighbour> {
    const env = { SPANMESH_NATS_URL: nats.url, SPANMESH_INSTALLATION: name };
    const port = await freePort();
    const topology = await ServiceProcess.start('topology', env);
    const gateway = await ServiceProcess.start('link-gateway', {
      ...env,
      // Both installations use this name: objects of the same name must not be mixed up.
      SPANMESH_GATEWAY_NAME: 'gateway',
      SPANMESH_DMSG_LISTEN: `circuit://127.0.0.1:${port}`,
      SPANMESH_TRUNK_LISTEN: '127.0.0.1:0',
    });
    await Promise.all([topology.ready(), gateway.ready()]);
    const peers = [];
    for (const part of ['giver', 'taker']) {
      const peer = await LivePeer.connect({ port, dialect: 'circuit', name: `${name} ${part}` });
      await peer.openConn({ label: `${name} ${part}` });
      peers.push(peer);
    }
    return new Neighbour(name, topology, gateway, peers);
  }

  /** Offers another span at one peer, and waits until the other peer gets its relay. */
  async span(): Promise<void> {
    const [giver, taker] = this.peers as [LivePeer, LivePeer];
    const given = giver.spans.get(giver.openSpan({ nodeLabel: `of ${this.name}` }))!;
    await taker.relay(({ node }) => node === given.node);
  }

  /** Labels of the nodes of which the taker has relays. */
  get seen(): string[] {
    return [...new Set(this.peers[1]!.relays().map(({ span }) => span.nodeLabel))];
  }

  /** The processes of the installation, as `spanmesh` lists them. */
  async processes(): Promise<string[]> {
    const terminal = new RecordingTerminal();
    await main(['log-level', '-o', 'json', '--address', `127.0.0.1:${this.gateway.ports.grpc}`], terminal);
    const { processes } = JSON.parse(terminal.printed) as { processes: { service: string }[] };
    return processes.map(({ service }) => service);
  }

  async stop(): Promise<void> {
    for (const { raw } of this.peers) raw.destroy();
    await Promise.all([this.gateway, this.topology].map((one) => one.stop('SIGKILL')));
  }
}

let nats: NatsServerProcess;
let alpha: Neighbour;
let beta: Neighbour;

beforeAll(async () => {
  nats = await NatsServerProcess.start();
  [alpha, beta] = await Promise.all([Neighbour.start('alpha', nats), Neighbour.start('beta', nats)]);
}, 4 * PATIENCE_MS);

afterAll(async () => {
  await Promise.all([alpha?.stop(), beta?.stop()]);
  await nats?.remove();
});

it(
  'two installations share a NATS server and never see each other, even if one of them fails over',
  async () => {
    for (const one of [alpha, beta, alpha, beta]) await one.span();
    const each = async () => {
      // Each installation has its own leader.
      expect([alpha.seen, beta.seen]).toEqual([['of alpha'], ['of beta']]);
      for (const one of [alpha, beta]) {
        await eventually(async () => {
          const found = await one.processes();
          return found.join() === 'link-gateway,topology' ? true : undefined;
        }, `all processes of ${one.name} answer, and no other`);
      }
    };
    await each();
    // The leader of alpha is killed; beta has nothing to take over.
    await alpha.topology.stop('SIGKILL');
    for (let i = 0; i < 5; i++) await beta.span();
    alpha.topology = alpha.topology.again();
    await alpha.topology.ready();
    await alpha.span();
    await beta.span();
    await each();
  },
  6 * PATIENCE_MS,
);
