import { eventually } from '@spanmesh/runtime/patience.fixture';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FailoverWorld, type Figures } from '../peer/failover-world.ts';
import type { NatsInstallation } from '../peer/nats-installation.ts';
import { hostOf } from '../peer/nats-installation.ts';

/** Index of the gateway that suffers the faults. Spans from gateway 1 to gateways 2 and 3 do not depend on it. */
const VICTIM = 3;
/** How long it is paused, ms: longer than a trunk waits for a sign of life, and the registry for a renewal. */
const PAUSE_MS = 6_000;
/** A gateway with routes to peers of the victim, and the interval between messages on them, ms. */
const OTHER = 1;
const ASK_MS = 20;

let world: FailoverWorld;
let installation: NatsInstallation;

beforeAll(async () => {
  world = await FailoverWorld.start({ topologies: 2, gateways: 4, volconfs: 0 });
  installation = world.installation;
});

afterAll(() => world.stop());

/** For each taker, of all other gateways or of one: how many relays of the victim's spans it holds. */
const ofVictim = (at: number | null = null) =>
  world.takers
    .filter(({ gateway }) => at === null || gateway === at)
    .map(({ peer }) => {
      const nodes = new Set(world.victims.flatMap(({ spans }) => [...spans.values()].map(({ node }) => node)));
      return peer.relays().filter(({ span }) => nodes.has(span.node)).length;
    });

const allOfVictim = () => ofVictim().every((count) => count > 0);
const noneOfVictim = () => ofVictim().every((count) => count === 0);

async function once(holds: () => boolean, what: string): Promise<number> {
  const began = performance.now();
  await eventually(async () => (holds() ? true : undefined), what);
  return performance.now() - began;
}

/** Cuts the victim off, checks that its peers keep their connections, and that everything is restored after the cut. */
async function cutOff(from: string | null, way: 'cut' | 'silent', fault: () => Promise<Figures>): Promise<void> {
  const what = `gateway 4's way to ${from ?? 'everybody'} ${way}`;
  await world.undisturbed(
    what,
    async () => {
      expect(allOfVictim()).toBe(true);
      world.network.set(hostOf('gateway', VICTIM), from, way);
      const figures = await fault();
      world.network.heal();
      return { ...figures, 'whole again ms': await world.healed() };
    },
    { closed: from === null ? [VICTIM] : [] },
  );
}

describe('four gateways, one of which', () => {
  it('is killed: only relays of its peers’ spans are closed', async () => {
    await world.undisturbed(
      'gateway 4 killed -9',
      async () => {
        await installation.gateways[VICTIM]!.stop('SIGKILL');
        const closed = await once(noneOfVictim, 'what its peers gave is closed');
        const span = await world.newSpansPass();
        await installation.gatewayAgain(VICTIM).ready();
        await world.populateVictim();
        return { 'what its peers gave is closed after ms': closed, 'new span then ms': span };
      },
      { closed: [VICTIM] },
    );
  });

  it('is stopped: its peers’ spans are closed at once', async () => {
    await world.undisturbed(
      'gateway 4 stopped',
      async () => {
        const [code, closed] = await Promise.all([
          installation.gateways[VICTIM]!.stop(),
          once(noneOfVictim, 'what its peers gave is closed'),
        ]);
        expect(code).toBe(0);
        await installation.gatewayAgain(VICTIM).ready();
        await world.populateVictim();
        return { 'what its peers gave is closed after ms': closed };
      },
      { closed: [VICTIM] },
    );
  });

  it('is paused, and continues with all its connections', async () => {
    await world.undisturbed(
      `gateway 4 paused for ${PAUSE_MS} ms`,
      async () => {
        const { child } = installation.gateways[VICTIM]!;
        child.kill('SIGSTOP');
        const waited: number[] = [];
        for (const began = performance.now(); performance.now() - began < PAUSE_MS; ) {
          waited.push(await world.newSpansPass());
        }
        child.kill('SIGCONT');
        const healed = await world.healed();
        return { 'longest wait for a new span ms': Math.max(...waited), 'whole again ms': healed };
      },
      { closed: [VICTIM] },
    );
  });

  it('is cut off from topology: it gives signs of life, so its peers’ spans remain', async () => {
    for (const way of ['cut', 'silent'] as const) {
      const { leader, host } = await world.leading();
      await cutOff(host, way, async () => {
        const began = performance.now();
        await live(leader.ports.http, 3);
        const detached = performance.now() - began;
        expect(allOfVictim()).toBe(true);
        return { 'detached after ms': detached };
      });
    }
  });

  it('is cut off from NATS: it is attached, so its peers’ spans remain', async () => {
    for (const way of ['cut', 'silent'] as const) {
      await cutOff(hostOf('nats', 0), way, async () => {
        const gateway = installation.gateways[VICTIM]!;
        await eventually(
          async () => ((await installation.metric(gateway, 'spanmesh_nats_connected')) === 0 ? true : undefined),
          'it notices',
        );
        const span = await world.newSpansPass();
        expect(allOfVictim()).toBe(true);
        await gateway.ready();
        return { 'new span ms': span };
      });
    }
  });

  it('is cut off from another gateway: its spans are skipped there until the trunk is established again', async () => {
    for (const way of ['cut', 'silent'] as const) {
      // A trunk is opened on first use, and its loss is noticed when it is used.
      const routed = setInterval(() => world.askVictim(OTHER), ASK_MS);
      try {
        await cutOff(hostOf('gateway', OTHER), way, async () => {
          const skipped = await once(
            () => ofVictim(OTHER).every((count) => count === 0),
            'its spans are skipped there',
          );
          // The third gateway can still reach the victim.
          expect(ofVictim(2).every((count) => count > 0)).toBe(true);
          return { 'skipped after ms': skipped, 'new span then ms': await world.newSpansPass() };
        });
      } finally {
        clearInterval(routed);
      }
    }
  });

  it('is cut off from all others: its peers’ spans are closed, its connections remain, and all is restored', async () => {
    await cutOff(null, 'silent', async () => {
      const closed = await once(noneOfVictim, 'what its peers gave is closed');
      return { 'what its peers gave is closed after ms': closed, 'new span then ms': await world.newSpansPass() };
    });
  });
});

async function live(httpPort: number, count: number): Promise<void> {
  const leader = installation.topologies.find(({ ports }) => ports.http === httpPort)!;
  await eventually(
    async () => ((await installation.metric(leader, 'spanmesh_topology_gateways_live')) === count ? true : undefined),
    `${count} gateways are attached`,
  );
}
