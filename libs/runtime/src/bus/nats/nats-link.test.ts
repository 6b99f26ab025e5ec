import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../clock.ts';
import { FakeClock } from '../../fake-clock.ts';
import { recordingLogger } from '../../tls/certificates.fixture.ts';
import { NatsBus } from './nats-bus.ts';
import { NatsServerProcess, natsOptionsFor, startNatsCluster } from './nats-server.fixture.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function busAt(servers: readonly NatsServerProcess[], clock: Clock, { logger } = recordingLogger()): NatsBus {
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
  // Called whatever else is tried meanwhile.
  const outcome = new Promise((resolve) => link.onOutcome(resolve));
  clock.advance(1000);
  await outcome;
  expect(link.unchangedMs).toBe(8000);
});

it('goes to a server that only the cluster has told it of', async () => {
  const three = await startNatsCluster();
  ends.push(() => Promise.all(three.map((server) => server.remove())));
  const bus = busAt(three.slice(0, 1), systemClock);
  await connected(bus);
  await expect.poll(() => bus.link.nats.info?.connect_urls?.length).toBe(3);
  const again = connected(bus);
  await three[0]!.stop('SIGKILL');
  await again;
  expect(bus.link.losses).toBe(1);
}, 60_000);

// Causes: line the connection with NATS is lost; this process goes on without
it('that is lost as soon as it stands is made again at a pace', async () => {
  let came = 0;
  const server = createServer((socket) => {
    came++;
    socket.on('error', () => {}).write('INFO {"server_id":"x","version":"2.9.0","proto":1,"max_payload":1000}\r\n');
    socket.once('data', () => socket.end('PONG\r\n'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => server.close());
  const url = `nats://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const clock = new FakeClock();
  const log = recordingLogger();
  const bus = busAt([{ url } as NatsServerProcess], clock, log);
  for (let i = 1; i <= 3; i++) {
    await expect.poll(() => bus.link.losses).toBe(i);
    // It waits, by the fake clock.
    await expect.poll(() => clock.nextAt()).not.toBeNull();
    expect(came).toBe(i);
    clock.advance(400);
  }
  const line = '"the connection with NATS is lost; this process goes on without"';
  expect(log.lines.filter((one) => one.includes(line)).length).toBeGreaterThanOrEqual(3);
});
