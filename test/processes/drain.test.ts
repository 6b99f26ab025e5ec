import { stdout } from 'node:process';
import { main } from '@spanmesh/ctl/main';
import { RecordingTerminal } from '@spanmesh/ctl/terminal.fixture';
import { freePort } from '@spanmesh/runtime/free-port.fixture';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ECHO, EchoNode } from '../peer/echo-node.ts';
import { ServiceProcess } from '../peer/installation.ts';
import { LivePeer } from '../peer/live-peer.ts';
import { NatsInstallation } from '../peer/nats-installation.ts';
import { testUuid } from '../peer/payloads.ts';
import { PATIENCE_MS, RawPeer } from '../peer/raw-peer.ts';
import { echoNode, messagingClient, RouteClient } from '../peer/route-client.ts';
import { sample } from '../peer/scrape.ts';
import { differences, readTrees } from '../peer/trees.ts';
import { DELETE, type Dialect, type Message } from '../peer/wire.ts';

const DIALECTS: Dialect[] = ['linkid', 'circuit'];
const RNSS_ADD = 7;
/** Number of spans of each peer. */
const SPANS = 3;
const LONG = { timeout: 6 * PATIENCE_MS };

let installation: NatsInstallation;
/** All connected peers, with the index of their gateway. */
let peers: { readonly gateway: number; readonly peer: LivePeer }[] = [];
let addresses = 0;

beforeAll(async () => {
  installation = await NatsInstallation.start(
    { topologies: 2, gateways: 3, volconfs: 1 },
    { SPANMESH_RNSS: String(RNSS_ADD), SPANMESH_LOG_LEVEL: 'info' },
  );
  for (const gateway of [0, 1, 2]) for (const dialect of DIALECTS) await peerAt(gateway, dialect);
  await healed();
}, 4 * PATIENCE_MS);

afterAll(async () => {
  for (const { peer } of peers) peer.raw.destroy();
  await installation?.emptied().finally(() => installation.stop());
});

/** Connects a peer from an address of its own, with a LNK_CONN and spans. */
async function peerAt(gateway: number, dialect: Dialect): Promise<LivePeer> {
  const n = ++addresses;
  const port = installation.gateways[gateway]!.dmsg[dialect];
  const name = `peer-${n}-${dialect}`;
  const peer = await LivePeer.connect({ port, dialect, name, localAddress: `127.0.2.${n}` });
  await peer.openConn({ label: name });
  for (let i = 0; i < SPANS; i++) peer.openSpan({ node: testUuid(n * 100 + i) });
  peers.push({ gateway, peer });
  return peer;
}

/** Waits until trees and relays match the peers' spans (architecture.md, "What must always hold" 2 and 4). */
async function healed(): Promise<void> {
  let found: string[] = [];
  const isOther = (address: string) => address === '127.0.0.1';
  await eventually(async () => {
    const trees = await readTrees(installation.topologies[0]!.ports.grpc).catch(() => null);
    if (trees === null) return undefined;
    const all = peers.map(({ peer }) => peer);
    found = differences(all, trees, { rnssAdd: RNSS_ADD, isOther });
    return found.length === 0 ? true : undefined;
  }, 'the trees are what connections offer').catch((error: unknown) => {
    throw new Error(`${(error as Error).message}: ${found.join('; ')}`);
  });
}

/** Reconnects the peers whose connections have ended, to these gateways in turn. */
async function reconnect(gateways: readonly number[]): Promise<LivePeer[]> {
  const gone = peers.filter(({ peer }) => peer.raw.isEnded);
  peers = peers.filter(({ peer }) => !peer.raw.isEnded);
  for (const [i, { peer }] of gone.entries()) await peerAt(gateways[i % gateways.length]!, peer.dialect);
  return gone.map(({ peer }) => peer);
}

const at = (gateway: number): LivePeer[] => peers.filter((one) => one.gateway === gateway).map(({ peer }) => peer);

interface Before {
  readonly peer: LivePeer;
  readonly held: readonly bigint[];
  readonly conns: readonly bigint[];
  readonly own: bigint;
  readonly messages: number;
}

/** The transactions that a peer has open with its gateway. */
function before(peer: LivePeer): Before {
  const { held, conns, routerConn, raw } = peer;
  return { peer, held: [...held.keys()], conns: [...conns.keys()], own: routerConn!, messages: raw.log.length };
}

/**
 * Checks that everything has ended in order: relays, the peer's LNK_CONNs, the router's LNK_CONN, FIN. The connection
 * was not cut.
 */
async function expectInOrder({ peer, held, conns, own, messages }: Before): Promise<void> {
  expect(await peer.raw.untilEnded(), peer.raw.name).toBe('fin');
  const ends = peer.raw.log.slice(messages).filter(({ cmd }) => (cmd & DELETE) !== 0);
  const at = (msgid: bigint) => ends.findIndex((message: Message) => message.msgid === msgid);
  expect(held.length, peer.raw.name).toBeGreaterThan(0);
  const [relays, lnkConns] = [held.map(at), conns.map(at)];
  expect(Math.min(...relays, ...lnkConns, at(own)), 'everything has ended').toBeGreaterThanOrEqual(0);
  expect(Math.max(...relays), 'relays first').toBeLessThan(Math.min(...lnkConns));
  expect(Math.max(...lnkConns), "the router's LNK_CONN last").toBeLessThan(at(own));
  expect(peer.raw.log.at(-1)!.msgid, 'then FIN').toBe(own);
}

/** Waits for a line in a process's log, and returns it. */
function logged(process: ServiceProcess, msg: string): Promise<Record<string, unknown>> {
  return eventually(async () => {
    const line = process.output.split('\n').findLast((one) => one.includes(`"msg":"${msg}`));
    return line === undefined ? undefined : (JSON.parse(line) as Record<string, unknown>);
  }, `a process logs "${msg}"`);
}

async function readiness({ ports }: ServiceProcess): Promise<number> {
  return (await fetch(`http://127.0.0.1:${ports.http}/readyz`)).status;
}

async function spanmesh(...args: string[]): Promise<{ code: number; printed: string; noted: string }> {
  const terminal = new RecordingTerminal();
  // The command asks the second replica, which passes orders on to the leader.
  const address = `127.0.0.1:${installation.topologies[1]!.ports.grpc}`;
  const code = await main([...args, '--address', address], terminal);
  return { code, printed: terminal.printed, noted: terminal.noted };
}

describe('three gateways', () => {
  it(
    'one stops: transactions finish, peers see the end of each transaction, and connect to the others',
    LONG,
    async () => {
      const gateway = installation.gateways[1]!;
      const node = await EchoNode.start(gateway.dmsg.circuit, 'circuit', 900);
      const client = messagingClient(installation.gateways[0]!.ports.grpc);
      const route = await RouteClient.open(client, echoNode('circuit', 900));
      route.send({ transaction: 1, create: true, command: ECHO, aux: Buffer.alloc(64, 5) });
      expect((await route.message()).aux).toHaveLength(64);
      const were = at(1).map(before);
      const began = performance.now();
      const exited = gateway.stop('SIGTERM');
      await Promise.all(were.map(expectInOrder));
      const quiet = performance.now() - began;
      // The transaction is still in progress: its connection is kept, and new peers are not accepted.
      expect(await readiness(gateway)).toBe(503);
      await expect(RawPeer.connect({ port: gateway.dmsg.circuit, dialect: 'circuit' })).rejects.toMatchObject({
        code: 'ECONNREFUSED',
      });
      route.send({ transaction: 1, delete: true, command: ECHO, aux: Buffer.alloc(32, 6) });
      const last = await route.message();
      expect([last.aux.length, last.delete]).toEqual([32, true]);
      expect(await exited).toBe(0);
      const done = await logged(gateway, 'drain is done');
      expect(done).toMatchObject({ closed: were.length + 1, cut: 0 });
      expect(await logged(gateway, 'drain begins')).toMatchObject({ connections: were.length + 1, busy: 1 });
      stdout.write(`SIGTERM: quiet peers closed after ms ${Math.round(quiet)}, all after ms ${done.tookMs}\n`);
      client.close();
      await node.stop();
      await reconnect([0, 2]);
      await healed();
      installation.gatewayAgain(1);
      await installation.gateways[1]!.ready();
      await healed();
    },
  );

  it('half of the peers of one are moved, and it still accepts peers', LONG, async () => {
    for (const dialect of DIALECTS) await peerAt(0, dialect);
    await healed();
    const were = at(0).map(before);
    const { code, printed, noted } = await spanmesh('gateways', 'drain', 'gateway-1', '--share', '50%');
    expect({ code, noted }).toEqual({ code: 0, noted: '' });
    const half = Math.round(were.length / 2);
    expect(printed).toMatch(
      new RegExp(
        `^gateway-1\\.\\w+: closing ${half} connections\ngateway-1\\.\\w+: ${half} closed in order, 0 cut off\n$`,
      ),
    );
    const gone = were.filter(({ peer }) => peer.raw.isEnded);
    expect(gone).toHaveLength(half);
    await Promise.all(gone.map(expectInOrder));
    await reconnect([1, 2]);
    await peerAt(0, 'circuit');
    await healed();
    expect(at(0)).toHaveLength(were.length - half + 1);
    const listed = await spanmesh('gateways', 'list');
    expect(listed.printed.match(/^gateway-\d\.\w+ +attached/gm)).toHaveLength(3);
    stdout.write(`gateways drain --share 50%: ${half} of ${were.length} moved\n`);
  });

  it('one connection is closed by order, in order, and the log gives the reason', LONG, async () => {
    const [peer] = at(2);
    const was = before(peer!);
    const trees = await readTrees(installation.topologies[0]!.ports.grpc);
    const { localAddress, localPort } = peer!.raw.socket;
    const { id } = trees.connections.find(({ remoteAddress }) => remoteAddress === `${localAddress}:${localPort}`)!;
    const answer = await spanmesh('conns', 'close', id, '--reason', 'moves to rack 7');
    expect(answer).toEqual({ code: 0, printed: `${id}: closing, peer ${localAddress}:${localPort}\n`, noted: '' });
    await expectInOrder(was);
    const line = await logged(installation.gateways[2]!, 'connection is closed by order');
    expect(line).toMatchObject({ why: 'by an operator: moves to rack 7' });
    expect((await spanmesh('conns', 'close', id)).noted).toContain('There is no connection');
    await reconnect([2]);
    await healed();
  });

  it('a peer that never answers is cut off at the deadline, and other peers are not affected', LONG, async () => {
    const gateway = installation.gateways[2]!;
    const mute = await RawPeer.connect({ port: gateway.dmsg.circuit, dialect: 'circuit', name: 'mute' });
    await mute.barrier();
    const were = at(2).map(before);
    const exited = gateway.stop('SIGTERM');
    await Promise.all(were.map(expectInOrder));
    expect(await exited).toBe(0);
    expect(await logged(gateway, 'drain is done')).toMatchObject({ closed: were.length, cut: 1 });
    mute.destroy();
    await reconnect([0, 1]);
    await healed();
  });
});

it('two gateways listen on one port: one drains, and the other accepts all new peers', LONG, async () => {
  const topology = await ServiceProcess.start('topology', {});
  const port = await freePort();
  const gateways = await Promise.all(
    ['gateway-1', 'gateway-2'].map((name) =>
      ServiceProcess.start('link-gateway', {
        SPANMESH_GATEWAY_NAME: name,
        SPANMESH_TOPOLOGY_ADDRESS: `127.0.0.1:${topology.ports.service}`,
        SPANMESH_DMSG_LISTEN: `circuit://127.0.0.1:${port}`,
        SPANMESH_DMSG_REUSE_PORT: 'true',
        SPANMESH_TRUNK_LISTEN: '127.0.0.1:0',
        // The drain must not end by itself during this test.
        SPANMESH_STOP_TIMEOUT: '1h',
      }),
    ),
  );
  const connected: RawPeer[] = [];
  const connect = async () => {
    const peer = await RawPeer.connect({ port, dialect: 'circuit' });
    connected.push(peer);
    await peer.barrier();
    return peer;
  };
  try {
    await Promise.all([topology, ...gateways].map((one) => one.ready()));
    const [going, staying] = gateways as [ServiceProcess, ServiceProcess];
    // Each gateway has some peers. Those of the draining one do not answer, so that it drains until the end of the
    // test.
    const connections = ({ ports }: ServiceProcess) => sample(ports.http, 'spanmesh_gateway_connections');
    while ((await connections(going)) === 0 || (await connections(staying)) === 0) await connect();
    const held = await connections(staying);
    const exited = going.stop('SIGTERM');
    await eventually(async () => ((await readiness(going)) === 503 ? true : undefined), 'it drains');
    for (let i = 0; i < 20; i++) await connect();
    expect(await connections(staying)).toBe(held + 20);
    // A second SIGTERM ends the drain soon.
    going.child.kill('SIGTERM');
    expect(await exited).toBe(0);
  } finally {
    for (const peer of connected) peer.destroy();
    await Promise.all([topology, ...gateways].map((one) => one.stop('SIGKILL')));
  }
});
