import { afterEach, expect, it } from 'vitest';
import { recordingLogger } from './certificates.fixture.ts';
import { FakeClock } from './fake-clock.ts';
import { NatsBus } from './nats-bus.ts';
import { NatsServerProcess, natsOptionsFor, startNatsCluster } from './nats-server.fixture.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function busAt(servers: readonly NatsServerProcess[], clock: FakeClock): NatsBus {
  const { logger } = recordingLogger();
  const bus = new NatsBus(natsOptionsFor(servers), { clock, logger, onError: () => {} });
  ends.push(() => bus.close());
  return bus;
}

const connected = ({ link }: NatsBus) =>
  new Promise<void>((resolve) => {
    const subscription = link.onConnect(() => {
      subscription.unsubscribe();
      resolve();
    });
  });

it('knows for how long it has been connected, or not', async () => {
  const one = await NatsServerProcess.start();
  ends.push(() => one.remove());
  const clock = new FakeClock();
  const bus = busAt([one], clock);
  const { link } = bus;
  clock.advance(500);
  expect([link.connected, link.unchangedMs]).toEqual([false, 500]);
  await connected(bus);
  clock.advance(61_000);
  expect([link.connected, link.unchangedMs]).toEqual([true, 61_000]);
  await one.stop();
  await expect.poll(() => link.connected).toBe(false);
  expect(link.unchangedMs).toBe(0);
  clock.advance(7000);
  expect(link.unchangedMs).toBe(7000);
  // Whatever is tried meanwhile.
  const outcome = new Promise((resolve) => link.onOutcome(resolve));
  clock.advance(1000);
  await outcome;
  expect(link.unchangedMs).toBe(8000);
});

it('goes to a server of the cluster that it was only told of', async () => {
  const three = await startNatsCluster();
  ends.push(() => Promise.all(three.map((server) => server.remove())));
  const clock = new FakeClock();
  const bus = busAt(three.slice(0, 1), clock);
  await connected(bus);
  await expect.poll(() => bus.link.nats.info?.connect_urls?.length, { timeout: 20_000 }).toBe(3);
  const again = connected(bus);
  await three[0]!.stop('SIGKILL');
  await again;
  expect(bus.link.losses).toBe(1);
}, 60_000);
