import { freePort } from '@spanmesh/runtime/free-port.fixture';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import { afterEach, expect, it } from 'vitest';

import { LoopbackNetwork } from '../peer/loopback-network.ts';
import { hostOf, NatsInstallation } from '../peer/nats-installation.ts';

const NATS = hostOf('nats', 0);
/** The cut lasts until so many attempts to connect were made. */
const ATTEMPTS = 3;

let installation: NatsInstallation | undefined;

afterEach(() => installation?.stop());

// Causes: metric spanmesh_nats_connected, spanmesh_nats_losses_total
it('a way to NATS that was silent is found again once, and what was tried meanwhile disturbs nothing', async () => {
  const monitor = await freePort();
  const network = new LoopbackNetwork();
  installation = await NatsInstallation.start(
    {
      topologies: 1,
      gateways: 0,
      volconfs: 0,
      // The server closes connections whose client does not answer PINGs within some seconds.
      natsConfig: `http: "127.0.0.1:${monitor}"\nping_interval: "1s"\nping_max: 1\n`,
    },
    {},
    network,
  );
  const topology = installation.topologies[0]!;
  const connected = () => installation!.metric(topology, 'spanmesh_nats_connected');
  network.set(NATS, null, 'silent');
  await eventually(async () => ((await connected()) === 0 ? true : undefined), 'it notices');
  await eventually(async () => (network.held >= ATTEMPTS ? true : undefined), 'it has tried again');
  const { held } = network;
  const before = await connections(monitor);
  network.heal();
  await eventually(async () => ((await connected()) === 1 ? true : undefined), 'it is connected');
  // The connections that were held back have reached the server, and the server has closed the unused ones. Two are
  // left: topology's and the harness's.
  await eventually(async () => {
    const { now, ever } = await connections(monitor);
    return ever >= before.ever + held && now === 2 ? true : undefined;
  }, 'the server has closed what was tried meanwhile');
  await eventually(async () => ((await connected()) === 1 ? true : undefined), 'it is still connected');
  expect(await installation.metric(topology, 'spanmesh_nats_losses_total')).toBe(1);
  // The process has written nothing but lines of its log.
  for (const line of topology.output.split('\n').filter((text) => text !== ''))
    expect(() => JSON.parse(line)).not.toThrow();
});

/** How many connections of clients a NATS server has now, and has ever had. */
async function connections(monitor: number): Promise<{ now: number; ever: number }> {
  const answer = await fetch(`http://127.0.0.1:${monitor}/varz`);
  const { connections, total_connections } = (await answer.json()) as Record<string, number>;
  return { now: connections!, ever: total_connections! };
}
