import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main } from '@spanmesh/ctl/main';
import { RecordingTerminal } from '@spanmesh/ctl/terminal.fixture';
import type { NatsServerProcess } from '@spanmesh/runtime/bus/nats/nats-server.fixture';
import { freePort } from '@spanmesh/runtime/free-port.fixture';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import { connect, Events, type NatsConnection } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GatewayProcess, ServiceProcess } from '../peer/installation.ts';
import { LivePeer } from '../peer/live-peer.ts';
import { PATIENCE_MS } from '../peer/raw-peer.ts';
import { workloads } from './kube-object.ts';
import { render } from './kustomize.ts';
import { natsFilesOf, PASSWORDS, startShipped, violations } from './nats-users.ts';

// The users of the Kubernetes manifests, with a real nats-server: each service may do what it needs, and nothing of
// other services.

const objects = render('production');
let directory: string;
let nats: NatsServerProcess;
const topologies: ServiceProcess[] = [];
const gateways: (ServiceProcess & Pick<GatewayProcess, 'dmsg'>)[] = [];
let volconf: ServiceProcess;
const peers: LivePeer[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'spanmesh-nats-users-'));
  expect(await main(['certs', 'init', join(directory, 'tls'), '--nats', '127.0.0.1'], new RecordingTerminal())).toBe(0);
  nats = await startShipped(natsFilesOf(objects), join(directory, 'tls'));
  for (let i = 0; i < 2; i++) {
    topologies.push(await start('topology'));
    await topologies[i]!.ready();
  }
  for (const name of ['gateway-1', 'gateway-2']) {
    const dmsg = { linkid: 0, circuit: await freePort() };
    const gateway = await start('link-gateway', {
      SPANMESH_GATEWAY_NAME: name,
      SPANMESH_DMSG_LISTEN: `circuit://127.0.0.1:${dmsg.circuit}`,
      SPANMESH_TRUNK_LISTEN: '127.0.0.1:0',
    });
    gateways.push(Object.assign(gateway, { dmsg }));
  }
  volconf = await start('volconf');
  await Promise.all([...gateways, volconf].map((one) => one.ready()));
  for (const { dmsg } of gateways) {
    const peer = await LivePeer.connect({ port: dmsg.circuit, dialect: 'circuit', name: `peer of ${dmsg.circuit}` });
    await peer.openConn({ label: `peer of ${dmsg.circuit}` });
    peers.push(peer);
  }
}, 8 * PATIENCE_MS);

afterAll(async () => {
  for (const { raw } of peers) raw.destroy();
  await Promise.all([...gateways, ...topologies, volconf].map((one) => one?.stop('SIGKILL')));
  await nats?.remove();
  rmSync(directory, { recursive: true });
});

/** The NATS user whose password the manifests give to a service. */
function userOf(service: string): string {
  const { container } = workloads(objects).find(({ name }) => name === service)!;
  return container.env!.find(({ name }) => name === 'SPANMESH_NATS_USER')!.value!;
}

function start(service: string, env: Record<string, string> = {}): Promise<ServiceProcess> {
  const user = userOf(service);
  return ServiceProcess.start(service, {
    SPANMESH_NATS_URL: `tls://127.0.0.1:${nats.port}`,
    SPANMESH_NATS_TLS_CA: join(directory, 'tls/ca.crt'),
    SPANMESH_NATS_USER: user,
    SPANMESH_NATS_PASSWORD: PASSWORDS[user]!,
    ...env,
  });
}

/** Checks that a span of the first gateway's peer is relayed to the second gateway's peer. */
async function relayed(label: string): Promise<void> {
  const [giver, taker] = peers as [LivePeer, LivePeer];
  giver.openSpan({ nodeLabel: label });
  await taker.relay(({ nodeLabel }) => nodeLabel === label);
}

interface Answer {
  readonly code: number;
  readonly printed: string;
  readonly noted: string;
}

async function spanmesh({ ports }: ServiceProcess, ...args: string[]): Promise<Answer> {
  const terminal = new RecordingTerminal();
  const code = await main([...args, '--address', `127.0.0.1:${ports.grpc}`], terminal);
  return { code, printed: terminal.printed, noted: terminal.noted };
}

describe('an installation whose services have users of their own', () => {
  it('relays spans, fails over, accepts targets and orders, and violates no permission', {
    timeout: 8 * PATIENCE_MS,
  }, async () => {
    await relayed('before');
    await topologies[0]!.stop('SIGKILL');
    await relayed('after');
    expect(await spanmesh(volconf, 'volconf', 'set', 'lab', 'span:192.0.2.7')).toMatchObject({ code: 0, noted: '' });
    expect((await spanmesh(volconf, 'volconf', 'export')).printed).toContain('lab');
    await eventually(async () => {
      const { printed } = await spanmesh(gateways[0]!, 'log-level', '-o', 'json');
      return /topology-[\s\S]*volconf-/.test(printed) ? true : undefined;
    }, 'a gateway sees all processes');
    // An operator's order reaches a gateway although it is not sent over NATS.
    await eventually(async () => {
      const { code } = await spanmesh(topologies[1]!, 'log-level', 'error', '--process', 'gateway-1');
      return code === 0 ? true : undefined;
    }, 'a gateway obeys');
    await gateways[1]!.stop();
    await volconf.stop();
    expect(violations(nats)).toEqual([]);
    for (const { output } of [...gateways, ...topologies, volconf])
      expect(output).not.toMatch(/trouble with NATS|PERMISSION/);
  });
});

describe('a user at NATS', () => {
  it.each([
    ['link-gateway', '$KV.spanmesh-leases.topology', 'take the lease of topology'],
    ['link-gateway', '$KV.spanmesh-leases.volconf', 'take the lease of volconf'],
    ['link-gateway', '$KV.spanmesh-targets.lab', "write volconf's targets"],
    ['link-gateway', 'spanmesh.events.target.x', 'tell news of targets'],
    ['link-gateway', '_INBOX.spanmesh.topology.x', 'answer what others have asked'],
    ['link-gateway', '$JS.API.STREAM.DELETE.KV_spanmesh-leases', 'delete a bucket'],
    ['link-gateway', '$JS.API.STREAM.PURGE.KV_spanmesh-gateways', 'empty its own bucket'],
    ['link-gateway', '$JS.API.STREAM.UPDATE.KV_spanmesh-leases', 'change a bucket'],
    ['link-gateway', '$JS.API.STREAM.CREATE.mine', 'make a stream'],
    ['link-gateway', '$JS.API.STREAM.CREATE.KV_spanmesh-leases', 'make a bucket'],
    ['link-gateway', '$JS.API.CONSUMER.CREATE.KV_spanmesh-gateways', 'have what it wrote delivered elsewhere'],
    ['link-gateway', '$JS.API.CONSUMER.DURABLE.CREATE.KV_spanmesh-gateways.x', 'the same, in another way'],
    ['link-gateway', '$JS.API.CONSUMER.CREATE.KV_spanmesh-targets', 'read the targets'],
    ['link-gateway', '$JS.API.STREAM.MSG.GET.KV_spanmesh-targets', 'read a target'],
    ['link-gateway', 'other.alive', 'write for another installation'],
    ['volconf', '$KV.spanmesh-leases.topology', 'take the lease of topology'],
    ['volconf', '$KV.spanmesh-gateways.gateway-1', 'write the registry of gateways'],
    ['topology', '$KV.spanmesh-leases.volconf', 'take the lease of volconf'],
    ['topology', '$KV.spanmesh-targets.lab', 'write targets'],
    ['operator', '$KV.spanmesh-leases.topology', 'take a lease'],
    ['operator', 'spanmesh.alive', 'pretend to be alive'],
  ])('of %s may not publish to %s: to %s', async (user, subject) => {
    expect(await refusal(user, (connection) => connection.publish(subject))).toBe(`publish ${subject}`);
  });

  it.each([
    ['link-gateway', '_INBOX.spanmesh.topology.>'],
    ['link-gateway', '_INBOX.>'],
    ['link-gateway', '$KV.spanmesh-targets.>'],
    ['link-gateway', '$KV.spanmesh-leases.>'],
    ['link-gateway', '>'],
    ['volconf', '_INBOX.spanmesh.link-gateway.>'],
    ['operator', '$KV.>'],
  ])('of %s may not subscribe to %s', async (user, subject) => {
    expect(await refusal(user, (connection) => void connection.subscribe(subject))).toBe(`subscription ${subject}`);
  });
});

/** The server's message if it refuses the act; empty: it was allowed. */
async function refusal(user: string, act: (connection: NatsConnection) => void): Promise<string> {
  const connection = await connect({
    servers: `127.0.0.1:${nats.port}`,
    user,
    pass: PASSWORDS[user]!,
    tls: { caFile: join(directory, 'tls/ca.crt') },
  });
  try {
    const refused = (async () => {
      for await (const { type, permissionContext } of connection.status()) {
        if (type === Events.Error) return `${permissionContext?.operation} ${permissionContext?.subject}`;
      }
      return 'nothing';
    })();
    act(connection);
    // A refusal of the act would arrive before the answer to this flush.
    await connection.flush();
    await connection.close();
    return await refused;
  } finally {
    await connection.close();
  }
}
