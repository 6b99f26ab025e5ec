import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { GetStatusRequest, type GetStatusResponse, ReplicaRole, TopologyClient } from '@spanmesh/proto/v1/topology';
import { NatsServerProcess } from '@spanmesh/runtime/bus/nats/nats-server.fixture';
import { freePort } from '@spanmesh/runtime/free-port.fixture';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkOut, RevisionError } from '../bench/against.ts';
import { type GatewayProcess, ServiceProcess } from '../peer/installation.ts';
import { LivePeer } from '../peer/live-peer.ts';
import { testUuid } from '../peer/payloads.ts';
import { Asker, Responder } from '../peer/routed-traffic.ts';

/**
 * The commit of the previous release. The present code must work together with it, whichever of the two is the leader,
 * the standby or the gateway. At each release the file gets the commit of the release before.
 */
const REVISION = readFileSync(join(import.meta.dirname, 'revision.txt'), 'utf8').trim();
/** Time to check out the commit and, if dependencies have changed, to install them, milliseconds. */
const CHECK_OUT_MS = 180_000;
const PATIENCE_MS = 90_000;

let before: Awaited<ReturnType<typeof checkOut>>;
beforeAll(async () => {
  before = await checkOut(REVISION, { packages: 'services' });
}, CHECK_OUT_MS);
afterAll(() => before?.remove());

it('a missing revision is named, with the command that fetches it', async () => {
  const missing = checkOut('0123456789abcdef0123456789abcdef01234567');
  await expect(missing).rejects.toThrow(RevisionError);
  await expect(missing).rejects.toThrow(/^0123\S+ is not in the history of this checkout: .*--unshallow/);
});

describe.each([
  { leader: 'the release before', leads: 'before', follows: 'now' },
  { leader: 'this one', leads: 'now', follows: 'before' },
] as const)('an installation of two versions, led by $leader', ({ leads, follows }) => {
  let nats: NatsServerProcess;
  const topologies: ServiceProcess[] = [];
  const gateways: GatewayProcess[] = [];
  const peers: LivePeer[] = [];

  const start = (version: 'before' | 'now', service: string, env: Record<string, string> = {}) => {
    const settings = { SPANMESH_NATS_URL: nats.url, SPANMESH_RNSS: '7', SPANMESH_LEASE_TTL: '2s', ...env };
    return ServiceProcess.start(service, settings, version === 'before' ? { tree: before.tree } : {});
  };

  async function startGateway(version: 'before' | 'now', name: string): Promise<GatewayProcess> {
    const dmsg = { linkid: await freePort(), circuit: await freePort() };
    const gateway = await start(version, 'link-gateway', {
      SPANMESH_GATEWAY_NAME: name,
      SPANMESH_DMSG_LISTEN: `linkid://127.0.0.1:${dmsg.linkid},circuit://127.0.0.1:${dmsg.circuit}`,
      SPANMESH_TRUNK_LISTEN: '127.0.0.1:0',
    });
    return Object.assign(gateway, { dmsg });
  }

  async function peerAt(gateway: number, name: string): Promise<LivePeer> {
    const { dmsg } = gateways[gateway]!;
    const localAddress = `127.0.0.${60 + peers.length}`;
    const peer = await LivePeer.connect({ port: dmsg.circuit, dialect: 'circuit', name, localAddress });
    peers.push(peer);
    await peer.openConn({ label: name });
    return peer;
  }

  beforeAll(async () => {
    nats = await NatsServerProcess.start();
    // The replicas start one after the other, so that the first one leads.
    for (const version of [leads, follows] as const) {
      const topology = await start(version, 'topology');
      topologies.push(topology);
      if (version === leads) gateways.push(await startGateway('before', 'old'), await startGateway('now', 'new'));
      await topology.ready();
    }
    await Promise.all(gateways.map((gateway) => gateway.ready()));
  }, PATIENCE_MS);

  afterAll(async () => {
    for (const peer of peers) peer.raw.destroy();
    await Promise.all([...gateways, ...topologies].map((process) => process.stop()));
    await nats?.remove();
  });

  it(
    'relay spans and route transactions in both directions, and a fail-over to the other version loses nothing',
    async () => {
      const ends: { asker: Asker; peer: LivePeer; relay: Awaited<ReturnType<LivePeer['relay']>> }[] = [];
      for (const [from, to] of [
        [0, 1],
        [1, 0],
      ] as const) {
        const [giver, taker] = [await peerAt(from, `giver-${from}`), await peerAt(to, `taker-${to}`)];
        const node = testUuid(10 + from);
        new Responder(giver);
        const asker = new Asker(taker);
        giver.openSpan({ node });
        ends.push({ asker, peer: taker, relay: await taker.relay((span) => span.node === node) });
      }
      const answered = async (times: number) => {
        for (const { asker, relay } of ends) asker.ask(relay, 3);
        const all = () => ends.every(({ asker }) => asker.done === times && asker.lost === 0);
        await eventually(async () => (all() ? true : undefined), 'transactions are answered both ways');
      };
      await answered(1);
      expect((await roles(topologies[0]!)).sort()).toEqual(['REPLICA_ROLE_LEADER', 'REPLICA_ROLE_STANDBY']);

      await topologies[0]!.stop('SIGKILL');
      await eventually(
        async () => ((await roles(topologies[1]!)).join() === 'REPLICA_ROLE_LEADER' ? true : undefined),
        'the other version leads',
      );
      const held = ends.map(({ peer }) => peer.relays().map(({ msgid }) => msgid));
      await answered(2);
      const [giver, taker] = [await peerAt(0, 'later-giver'), await peerAt(1, 'later-taker')];
      giver.openSpan({ node: testUuid(30) });
      await taker.relay((span) => span.node === testUuid(30));
      // Each peer still has the relays that it had before, with the same msgids.
      for (const [i, { peer, relay }] of ends.entries()) {
        const now = new Set(peer.relays().map(({ msgid }) => msgid));
        expect(held[i]!.every((msgid) => now.has(msgid))).toBe(true);
        expect(now).toContain(relay.msgid);
      }
      expect(ends.map(({ asker }) => asker.faults)).toEqual([[], []]);
    },
    PATIENCE_MS,
  );
});

/** The roles of the replicas that this one knows; empty while it does not answer. */
async function roles({ ports }: ServiceProcess): Promise<string[]> {
  const client = new TopologyClient(`127.0.0.1:${ports.grpc}`, credentials.createInsecure());
  try {
    const { replicas } = await new Promise<GetStatusResponse>((resolve, reject) => {
      client.getStatus(GetStatusRequest.create(), (error, answer) =>
        error === null ? resolve(answer) : reject(error),
      );
    });
    const names = new Map(Object.entries(ReplicaRole).map(([name, value]) => [value as number, name]));
    return replicas.map(({ role }) => names.get(role) ?? '?');
  } catch {
    return [];
  } finally {
    client.close();
  }
}
