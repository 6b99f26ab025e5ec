import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../clock.ts';
import { FakeClock } from '../../fake-clock.ts';
import { Metrics } from '../../metrics.ts';
import { recordingLogger } from '../../tls/certificates.fixture.ts';
import { BusError } from '../bus.ts';
import { openBus } from '../open-bus.ts';
import { NatsBuckets } from './nats-buckets.ts';
import { NatsBus } from './nats-bus.ts';
import { NatsServerProcess, natsOptionsFor, stoppedNatsCluster } from './nats-server.fixture.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function server(config?: string): Promise<NatsServerProcess> {
  const made = await NatsServerProcess.start(config === undefined ? {} : { config });
  ends.push(() => made.remove());
  return made;
}

function open(at: readonly NatsServerProcess[], env: Record<string, string>) {
  const { lines, logger } = recordingLogger();
  const { bus, check } = openBus(natsOptionsFor(at, env), { logger, metrics: new Metrics() });
  ends.push(() => bus.close());
  return { bus, check, lines };
}

/** The error of a start with these settings. */
async function refusal(at: NatsServerProcess, env: Record<string, string> = {}): Promise<string> {
  return open([at], env)
    .check()
    .then(
      () => 'it has started',
      (error: Error) => error.message,
    );
}

describe('a cluster that still forms', () => {
  // Causes: line buckets of NATS cannot be had yet; they are waited for
  it('is waited for, in whatever order the servers come', async () => {
    const [first, second, third] = (await stoppedNatsCluster()) as [
      NatsServerProcess,
      NatsServerProcess,
      NatsServerProcess,
    ];
    ends.push(() => Promise.all([first, second, third].map((one) => one.remove())));
    const { bus, check, lines } = open([first, second, third], { SPANMESH_NATS_REPLICAS: '3' });
    const waits = () => lines.filter((line) => line.includes('buckets of NATS cannot be had yet'));
    // A single server of the cluster has no leader: it answers so, or does not answer.
    await first.startAgain();
    await check();
    await expect.poll(waits).not.toEqual([]);
    // Two servers have a leader, but no place for three copies (10005), which was once taken for a wrong setting.
    await second.startAgain();
    await expect.poll(() => waits().join()).toMatch(/no suitable peers|insufficient resources/);
    await third.startAgain();
    const leases = await bus.kv('leases');
    await expect
      .poll(() => leases.put('k', new Uint8Array([1])).catch(() => 0), { timeout: 60_000, interval: 200 })
      .toBeGreaterThan(0);
    expect(lines.join('')).not.toContain('"error"');
  }, 150_000);
});

describe('a bucket that is found to be wrong once the process runs', () => {
  // Causes: line a bucket of NATS is not what the settings say
  it('is an error in the log, once in ten seconds, and ends nothing', async () => {
    const clock = new FakeClock();
    const { lines, logger } = recordingLogger();
    let asked = 0;
    const bus = {
      link: { connected: true } as NatsBus['link'],
      open: async () => {
        asked++;
        throw new BusError(asked > 11 ? 'closed' : 'settings', 'it has one copy', {
          setting: 'SPANMESH_NATS_REPLICAS',
        });
      },
    };
    const looks = new NatsBuckets(['leases'], { bus, clock, logger }).keepLooking();
    while (asked < 12) {
      clock.advance(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await looks;
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      {
        level: 'error',
        msg: 'a bucket of NATS is not what the settings say',
        setting: 'SPANMESH_NATS_REPLICAS',
        why: 'it has one copy',
        suppressed: 0,
      },
      { level: 'error', suppressed: 9 },
    ]);
  });
});

describe('what does not pass', () => {
  it('an account without JetStream', async () => {
    const one = await server(
      `accounts {
         WITH: { jetstream: enabled, users: [ { user: bob, password: p } ] }
         WITHOUT: { users: [ { user: ann, password: p } ] }
       }\n`,
    );
    const ann = { SPANMESH_NATS_USER: 'ann', SPANMESH_NATS_PASSWORD: 'p' };
    expect(await refusal(one, ann)).toMatch(/^SPANMESH_NATS_URL: .*the account of our user has no JetStream: /);
  });

  it('a user who may not use JetStream', async () => {
    const permissions = 'permissions: { publish: "spanmesh.>", subscribe: [ "spanmesh.>", "_INBOX.>" ] }';
    const one = await server(`authorization { users: [ { user: ann, password: p, ${permissions} } ] }\n`);
    const ann = { SPANMESH_NATS_USER: 'ann', SPANMESH_NATS_PASSWORD: 'p' };
    expect(await refusal(one, ann)).toMatch(/^SPANMESH_NATS_URL: .*our user may not do this: /);
  });

  it('the user of docs/scaling.md may do all that services need, and cannot look at another installation', async () => {
    const ofBuckets = ['leases', 'gateways', 'targets'].flatMap((bucket) => [
      `$KV.alpha-${bucket}.>`,
      `$JS.API.STREAM.*.KV_alpha-${bucket}`,
      `$JS.API.STREAM.MSG.GET.KV_alpha-${bucket}`,
      `$JS.API.CONSUMER.*.KV_alpha-${bucket}`,
      `$JS.API.CONSUMER.*.KV_alpha-${bucket}.>`,
    ]);
    const publish = JSON.stringify(['alpha.>', ...ofBuckets]);
    const permissions = `permissions: { publish: ${publish}, subscribe: [ "alpha.>", "_INBOX.>" ] }`;
    const one = await server(`authorization { users: [ { user: ann, password: p, ${permissions} } ] }\n`);
    const ann = { SPANMESH_NATS_USER: 'ann', SPANMESH_NATS_PASSWORD: 'p' };
    const { bus, check, lines } = open([one], { ...ann, SPANMESH_INSTALLATION: 'alpha' });
    await check();
    const leases = await bus.kv('leases');
    const told: string[] = [];
    await leases.watch(({ key }) => told.push(key));
    await leases.put('k', new Uint8Array([1]));
    await expect.poll(() => told).toEqual(['k']);
    expect(lines.join('')).not.toContain('PERMISSIONS');
    expect(await refusal(one, ann)).toMatch(/^SPANMESH_NATS_URL: .*our user may not do this: /);
  });

  it('a stream of somebody else with the bucket’s subjects, or its name, is reported', async () => {
    const one = await server();
    const bus = new NatsBus(natsOptionsFor([one]), {
      clock: systemClock,
      logger: recordingLogger().logger,
      onError: () => {},
    });
    ends.push(() => bus.close());
    await new Promise<void>((resolve) => bus.link.onConnect(resolve));
    const { streams } = await bus.link.nats.jetstreamManager();
    await streams.add({ name: 'theirs', subjects: ['$KV.taken-leases.>'] });
    await streams.add({ name: 'KV_called-targets', subjects: ['something.else'] });
    expect(await refusal(one, { SPANMESH_INSTALLATION: 'taken' })).toMatch(
      /^SPANMESH_INSTALLATION: .*another stream has the subjects: /,
    );
    expect(await refusal(one, { SPANMESH_INSTALLATION: 'called' })).toMatch(
      /^SPANMESH_INSTALLATION: there is a stream KV_called-targets that is no bucket of ours: /,
    );
  });
});
