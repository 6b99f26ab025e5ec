import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FailoverWorld } from '../peer/failover-world.ts';
import type { NatsInstallation } from '../peer/nats-installation.ts';

let world: FailoverWorld;
let installation: NatsInstallation;

beforeAll(async () => {
  world = await FailoverWorld.start({ topologies: 3, gateways: 3, volconfs: 2, nats: 3 });
  installation = world.installation;
});

afterAll(() => world.stop());

describe('a rolling restart', () => {
  it('of NATS, topology and volconf, one after the other, does not affect peers', async () => {
    await world.undisturbed('NATS, topology and volconf restarted one by one', async () => {
      const began = performance.now();
      const waited: number[] = [];
      for (const server of installation.natsServers) {
        await server.stop();
        await server.startAgain();
        // The next server is restarted when this one has caught up, which is what operators must wait for, too.
        await installation.storeIsWhole();
        waited.push(await world.newSpansPass());
      }
      for (const services of [installation.topologies, installation.volconfs]) {
        for (const [i, service] of services.entries()) {
          expect(await service.stop()).toBe(0);
          services[i] = service.again();
          await services[i]!.ready();
          waited.push(await world.newSpansPass());
        }
      }
      return { 'took ms': performance.now() - began, 'longest wait for a new span ms': Math.max(...waited) };
    });
  });

  it('of the gateways moves their peers: at the end each has its relays again', async () => {
    const began = performance.now();
    for (const [i, gateway] of installation.gateways.entries()) {
      expect(await gateway.stop()).toBe(0);
      // The gateway's peers connect to the next one, as they would behind a common address.
      await world.move(i, (i + 1) % installation.gateways.length);
      await world.healed();
      await installation.gatewayAgain(i).ready();
      await world.newSpansPass();
    }
    process.stdout.write(`gateways restarted one by one: took ms ${Math.round(performance.now() - began)}\n`);
  });
});
