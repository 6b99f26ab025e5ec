import { eventually } from '@spanmesh/runtime/patience.fixture';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { kept } from '../peer/scrape.ts';
import { ComposeSystem } from './compose-system.ts';
import { type Container, docker } from './docker.ts';
import { cleared, Population } from './population.ts';

/** Number of peers at the beginning, and of those added after more gateways have been started. */
const PEERS = 16;
const MORE_PEERS = 8;
/** Shortest duration of a fault, ms: longer than a lease, and than the entrance needs to stop using a replica. */
const FAULT_MS = 4000;
/** How long the load continues between the steps, ms. */
const LOAD_MS = 2000;
/** Pause between two checks for the leader, ms. */
const LOOK_MS = 200;

let system: ComposeSystem;
let population: Population;
let failed = false;

beforeAll(async () => {
  system = await ComposeSystem.start(1);
  population = new Population(system);
}, 300_000);

afterEach(({ task }) => {
  if (task.result?.state === 'fail') failed = true;
});

afterAll(async () => {
  await population?.stop();
  if (failed) await system?.printLogs();
  await system?.stop();
}, 120_000);

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const say = (what: string, figures: Record<string, number>) => {
  const shown = Object.entries(figures).map(([name, value]) => `${name} ${Math.round(value)}`);
  process.stdout.write(`${what}: ${shown.join(', ')}\n`);
};

/**
 * Runs `what` under load, then waits until everything has healed. Checks that no peer received anything that breaks the
 * protocol.
 */
async function underLoad(name: string, what: () => Promise<void>): Promise<{ lost: number; arrivals: number }> {
  const before = { ...population.outcome(), arrivals: population.arrivals() };
  population.work();
  await pause(LOAD_MS);
  await what();
  await pause(LOAD_MS);
  // Peers that lost their connections must be back before the load ends, so that there is load on the healed system,
  // too.
  await cleared(
    async () => population.peers.filter(({ live }) => live === null).map(({ label }) => label),
    'peers are back',
  );
  const { done, lost } = await population.rest();
  const healed = await population.healed();
  expect(population.faults()).toEqual([]);
  expect(done).toBeGreaterThan(before.done);
  const result = { lost: lost - before.lost, arrivals: population.arrivals() - before.arrivals };
  say(name, {
    transactions: done - before.done,
    lost: result.lost,
    'peers that came back': result.arrivals,
    'healed ms': healed,
  });
  return result;
}

/** Like `underLoad`, for a fault on which no connection, relay or route depends: all of them must remain. */
async function untouched(name: string, what: () => Promise<void>): Promise<void> {
  const held = population.held();
  expect(held).not.toContain('');
  expect(await underLoad(name, what)).toEqual({ lost: 0, arrivals: 0 });
  expect(population.held()).toEqual(held);
}

async function one(service: string): Promise<Container> {
  return (await system.running(service))[0]!;
}

/** The gateways with the number of connections of each, most first. */
async function gatewaysByLoad(): Promise<[Container, number][]> {
  const counted = (await system.running('gateway')).map(async (gateway): Promise<[Container, number]> => {
    return [gateway, (await system.scrape(gateway)).get('spanmesh_gateway_connections') ?? 0];
  });
  return (await Promise.all(counted)).toSorted(([, a], [, b]) => b - a);
}

async function busiest(): Promise<Container> {
  return (await gatewaysByLoad())[0]![0];
}

/** Waits until a replica leads: for a moment after a fault none does. */
function leader(): Promise<Container> {
  return eventually(
    async () => {
      for (const service of ['topology-a', 'topology-b']) {
        const container = await one(service);
        if ((await system.scrape(container)).get('spanmesh_topology_leading') === 1) return container;
      }
      return undefined;
    },
    'some topology leads',
    { everyMs: LOOK_MS },
  );
}

/** The faults of a container. Each function causes one, and returns a function that repairs it. */
const FAULTS: Record<string, (container: Container) => Promise<() => Promise<unknown>>> = {
  'killed -9': async ({ id }) => {
    await docker('kill', '--signal', 'KILL', id);
    return () => docker('start', id);
  },
  paused: async ({ id }) => {
    await docker('pause', id);
    return () => docker('unpause', id);
  },
  'cut off': (container) => system.cutOff(container),
};

async function suffer(container: Container, fault: string): Promise<void> {
  const mend = await FAULTS[fault]!(container);
  await pause(FAULT_MS);
  await mend();
  await healthy();
}

async function healthy(): Promise<void> {
  await cleared(async () => {
    const all = await system.containers();
    const sick = all.filter(({ service, health, isRunning }) =>
      service === 'certificates' ? isRunning : !isRunning || (service !== 'nats' && health !== 'healthy'),
    );
    return sick.map(({ name, health }) => `${name} is ${health}`);
  }, 'all are healthy');
}

describe('the system of docker-compose.yml', () => {
  it('is healthy, and runs without root and with read-only root file systems', async () => {
    await healthy();
    for (const { service, user, isReadOnly, capabilitiesDropped } of await system.running()) {
      expect({ service, isReadOnly, capabilitiesDropped }).toEqual({
        service,
        isReadOnly: true,
        capabilitiesDropped: ['ALL'],
      });
      // NATS's image keeps its own user.
      if (service !== 'nats') expect({ service, user }).toEqual({ service, user: '1000:1000' });
    }
  });

  it('passes spans and transactions on through one gateway', async () => {
    population.add(PEERS);
    await underLoad('one gateway', async () => {});
  }, 120_000);

  it('scales from one gateway to four under load', async () => {
    await underLoad('1 → 4 gateways', async () => {
      await system.scale(4);
      population.add(MORE_PEERS);
    });
    const connections = (await gatewaysByLoad()).map(([, count]) => count);
    expect(connections).toHaveLength(4);
    expect(Math.min(...connections)).toBeGreaterThan(0);
  }, 180_000);

  it('stops a gateway in order: it closes its connections in order, and exits with code 0', async () => {
    const gateway = await busiest();
    await underLoad('a gateway is stopped', async () => {
      await docker('stop', '--time', '15', gateway.id);
      const stopped = (await system.containers('gateway')).find(({ id }) => id === gateway.id)!;
      expect({ isRunning: stopped.isRunning, exitCode: stopped.exitCode }).toEqual({ isRunning: false, exitCode: 0 });
      await docker('start', gateway.id);
      await healthy();
    });
  }, 120_000);

  it.each(Object.keys(FAULTS))(
    'continues when the topology leader is %s',
    async (fault) => {
      const container = await leader();
      await untouched(`topology leader ${fault}`, () => suffer(container, fault));
    },
    120_000,
  );

  it.each(Object.keys(FAULTS))(
    'continues when NATS is %s',
    async (fault) => {
      const nats = await one('nats');
      await untouched(`NATS ${fault}`, () => suffer(nats, fault));
    },
    120_000,
  );

  it.each(Object.keys(FAULTS))(
    'continues when volconf is %s',
    async (fault) => {
      const volconf = await one('volconf');
      await untouched(`volconf ${fault}`, () => suffer(volconf, fault));
    },
    120_000,
  );

  it.each(Object.keys(FAULTS))(
    'heals when a gateway is %s',
    async (fault) => {
      const gateway = await busiest();
      await underLoad(`gateway ${fault}`, () => suffer(gateway, fault));
    },
    180_000,
  );

  it('scales from four gateways to two under load', async () => {
    await underLoad('4 → 2 gateways', () => system.scale(2));
    expect(await system.running('gateway')).toHaveLength(2);
  }, 180_000);

  it('keeps no objects of peers that have left', async () => {
    await population.stop();
    for (const gateway of await system.running('gateway')) {
      await cleared(
        async () => Object.entries(await kept(8080, gateway.address)).map(([name, value]) => `${name} ${value}`),
        'the gateway is empty',
      );
    }
  }, 120_000);

  it('has logged no errors', async () => {
    const errors = (await system.log()).filter(({ level }) => level === 'error' || level === 'fatal');
    expect(errors.map(({ container, text }) => `${container} ${text}`)).toEqual([]);
  });
});
