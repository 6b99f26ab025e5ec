import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../clock.ts';
import { FakeClock } from '../../fake-clock.ts';
import { type Random, systemRandom } from '../../random.ts';
import { recordingLogger } from '../../tls/certificates.fixture.ts';
import { NatsBus } from './nats-bus.ts';
import { NatsServerProcess, natsOptionsFor, startNatsCluster } from './nats-server.fixture.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function busAt(
  servers: readonly { readonly url: string }[],
  clock: Clock,
  { logger } = recordingLogger(),
  random: Random = systemRandom,
): NatsBus {
  const bus = new NatsBus(natsOptionsFor(servers), { clock, logger, random, onError: () => {} });
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

const GREETING = { server_id: 'x', version: '2.9.0', proto: 1, max_payload: 1000 };

/** A server in the place of NATS, what it has heard, and its connections, of which a client may have closed some. */
interface Played {
  readonly url: string;
  readonly host: string;
  readonly sockets: Socket[];
  heard: string;
  info(more?: object): void;
  /** Ends all connections, and takes no others. */
  leave(): void;
}

/** `meets`: what it does with a connection before it speaks NATS; false: it says nothing. */
async function played(meets: (socket: Socket) => boolean = () => true): Promise<Played> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket
      .on('error', () => {})
      .on('data', (chunk) => {
        one.heard += chunk.toString();
        for (const _ of chunk.toString().matchAll(/^PING/gm)) socket.write('PONG\r\n');
      });
    if (meets(socket)) one.info();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const leave = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  ends.push(leave);
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const info = (more: object = {}) => sockets.at(-1)?.write(`INFO ${JSON.stringify({ ...GREETING, ...more })}\r\n`);
  const one: Played = { url: `nats://${host}`, host, sockets, heard: '', info, leave };
  return one;
}

it('goes to a server that the cluster has told it of later', async () => {
  const [first, second] = [await played(), await played()];
  const bus = busAt([first], systemClock);
  await connected(bus);
  const again = connected(bus);
  first.info({ connect_urls: [second.host] });
  // When the bus answers this PING, it has read the INFO line before.
  first.sockets[0]?.write('PING\r\n');
  await expect.poll(() => first.heard).toContain('PONG');
  first.leave();
  await again;
  expect(second.sockets).toHaveLength(1);
});

it('logs what the server complains of, with the subject if it is about one, and the same once in ten seconds', async () => {
  const server = await played();
  const clock = new FakeClock();
  const log = recordingLogger();
  const bus = busAt([server], clock, log);
  await connected(bus);
  const complaints = () => log.lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'trouble with NATS');
  let pongs = 0;
  const says = async (text: string) => {
    server.sockets[0]?.write(`-ERR '${text}'\r\nPING\r\n`);
    pongs++;
    await expect.poll(() => server.heard.split('PONG').length - 1).toBe(pongs);
  };
  const forbidden = { why: 'PERMISSIONS_VIOLATION', subject: 'some.subject', suppressed: 0 };
  await says('Permissions Violation for Publish to "some.subject"');
  await expect.poll(complaints).toMatchObject([forbidden]);
  await says('Permissions Violation for Publish to "some.subject"');
  clock.advance(9999);
  await says('Permissions Violation for Publish to "some.subject"');
  clock.advance(1);
  await says('Permissions Violation for Publish to "some.subject"');
  await expect.poll(complaints).toMatchObject([forbidden, { ...forbidden, suppressed: 2 }]);
  await says('Slow Consumer');
  await expect.poll(() => complaints().length).toBe(3);
  expect(complaints().at(-1)).not.toHaveProperty('subject');
  expect(bus.link.connected).toBe(true);
});

describe('a link that is closed', () => {
  it('has sent what was published, and leaves no connection', async () => {
    const server = await played();
    const bus = busAt([server], systemClock);
    await connected(bus);
    bus.publish('last', Buffer.from('words'));
    await bus.close();
    expect(server.heard).toMatch(/^PUB \S*last 5\r\nwords\r\n/m);
    await expect.poll(() => server.sockets[0]?.readableEnded || server.sockets[0]?.destroyed).toBe(true);
    expect([bus.link.connected, bus.link.unchangedMs, bus.link.losses]).toEqual([false, 0, 0]);
    expect(() => bus.link.nats).toThrow('the bus is closed');
  });

  it('makes no connection any more, and leaves the one that it was making', async () => {
    const [silent, other] = [await played(() => false), await played()];
    // Random numbers for the pause between rounds, and then for the order of the two servers.
    const draws = [0, 0, 1];
    const bus = busAt([silent, other], systemClock, recordingLogger(), () => draws.shift() ?? 0);
    await expect.poll(() => silent.sockets.length).toBe(1);
    await bus.close();
    silent.info();
    await expect.poll(() => silent.sockets[0]?.readableEnded || silent.sockets[0]?.destroyed).toBe(true);
    expect([bus.link.connected, other.sockets.length]).toEqual([false, 0]);
  });

  it('does not go on to the next server', async () => {
    const [silent, other] = [await played(() => false), await played()];
    const draws = [0, 0, 1];
    const log = recordingLogger();
    const bus = busAt([silent, other], systemClock, log, () => draws.shift() ?? 0);
    await expect.poll(() => silent.sockets.length).toBe(1);
    await bus.close();
    const closed = once(silent.sockets[0] ?? expect.fail('no connection'), 'close');
    silent.sockets[0]?.end();
    await closed;
    await new Promise(setImmediate);
    expect([other.sockets.length, log.lines]).toEqual([0, []]);
  });

  it('does not begin another round', async () => {
    const server = await played((socket) => {
      socket.end();
      return false;
    });
    const clock = new FakeClock();
    const bus = busAt([server], clock);
    await new Promise((resolve) => bus.link.onOutcome(resolve));
    await expect.poll(() => clock.nextAt()).not.toBeNull();
    await bus.close();
    clock.advance(400);
    // Another client is let in later than it would have been.
    const next = await played();
    await connected(busAt([next], systemClock));
    expect(server.sockets).toHaveLength(1);
  });
});

// Causes: line the connection with NATS is lost; this process goes on without
it('that is lost as soon as it stands is made again at a pace', async () => {
  const server = await played();
  // Half of the random part.
  const clock = new FakeClock();
  const log = recordingLogger();
  const bus = busAt([server], clock, log, () => 0.5);
  for (let i = 1; i <= 3; i++) {
    await expect.poll(() => bus.link.connected).toBe(true);
    server.sockets.at(-1)?.end();
    await expect.poll(() => bus.link.losses).toBe(i);
    // It waits, by the fake clock.
    await expect.poll(() => clock.nextAt()).toBe(300 * i);
    expect(server.sockets).toHaveLength(i);
    clock.advance(300);
  }
  const line = '"the connection with NATS is lost; this process goes on without"';
  expect(log.lines.filter((one) => one.includes(line)).length).toBeGreaterThanOrEqual(3);
});
