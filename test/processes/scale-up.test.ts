import { stdout } from 'node:process';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ECHO, EchoNode } from '../peer/echo-node.ts';
import type { GatewayProcess } from '../peer/installation.ts';
import { NatsInstallation } from '../peer/nats-installation.ts';
import { PATIENCE_MS } from '../peer/raw-peer.ts';
import { echoNode, messagingClient, RouteClient } from '../peer/route-client.ts';

const BEFORE = 3;

let installation: NatsInstallation;
const nodes: EchoNode[] = [];

beforeAll(async () => {
  installation = await NatsInstallation.start({ topologies: 1, gateways: BEFORE, volconfs: 0 });
  for (const [i, { dmsg }] of installation.gateways.entries()) {
    nodes.push(await EchoNode.start(dmsg.circuit, 'circuit', 600 + i));
  }
}, 4 * PATIENCE_MS);

afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await installation?.emptied().finally(() => installation.stop());
});

const each = (name: string) =>
  Promise.all(installation.gateways.map((gateway) => installation.metric(gateway, `spanmesh_gateway_${name}`)));

/** Sends messages from the API of one gateway to a node of another gateway. */
async function route(from: GatewayProcess, node: number): Promise<void> {
  const client = messagingClient(from.ports.grpc);
  const way = await RouteClient.open(client, echoNode('circuit', node));
  way.send({ transaction: 1, create: true, delete: true, command: ECHO, aux: Buffer.alloc(8, 1) });
  expect((await way.message()).aux).toHaveLength(8);
  way.stream.cancel();
  client.close();
}

describe('an additional gateway', () => {
  it('costs the other gateways nothing but a trunk on first use', { timeout: 4 * PATIENCE_MS }, async () => {
    expect(await each('trunk_established')).toEqual([0, 0, 0]);
    const newest = await installation.gateway(`gateway-${BEFORE + 1}`);
    installation.gateways.push(newest);
    await newest.ready();
    const node = await EchoNode.start(newest.dmsg.circuit, 'circuit', 600 + BEFORE);
    nodes.push(node);
    // Each gateway has relays of the spans of all the others, including the new one's.
    await eventually(async () => {
      const relays = await each('relays');
      return relays.every((count) => count === BEFORE) ? true : undefined;
    }, 'every node is relayed everywhere');
    // No gateway has opened a trunk.
    expect(await each('trunk_opened_total')).toEqual([0, 0, 0, 0]);
    expect(await each('trunk_established')).toEqual([0, 0, 0, 0]);
    expect(await each('connections')).toEqual([1, 1, 1, 1]);
    await route(newest, 600);
    expect(await each('trunk_established')).toEqual([1, 0, 0, 1]);
    await route(installation.gateways[0]!, 600 + BEFORE);
    expect(await each('trunk_established')).toEqual([1, 0, 0, 1]);
    stdout.write(`trunks of 4 gateways after routes between 1 and 4: ${(await each('trunk_established')).join(' ')}\n`);
  });
});
