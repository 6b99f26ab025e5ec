import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Bus } from '../bus/bus.ts';
import { BUCKETS, bucketOf } from '../bus/bus-names.ts';
import { NatsBus } from '../bus/nats/nats-bus.ts';
import { NatsServerProcess, natsOptionsFor } from '../bus/nats/nats-server.fixture.ts';
import { systemClock } from '../clock.ts';
import { recordingLogger } from '../tls/certificates.fixture.ts';
import { installationSetting } from './installation-setting.ts';
import { readSettings } from './setting.ts';

const read = (name: string) => readSettings(installationSetting, { env: { SPANMESH_INSTALLATION: name }, flags: {} });

describe('the name of an installation', () => {
  it.each(['a', 'spanmesh', 'eu-west-1', '0-', 'x'.repeat(40)])('may be %s', (name) => {
    expect(read(name).installation).toBe(name);
  });

  // Limits: settings/installation-setting.ts MAX_CHARS
  it.each(['', 'A', 'a.b', 'a_b', 'a b', '*', '>', 'é', 'x'.repeat(41)])('may not be %j', (name) => {
    expect(() => read(name)).toThrow(/^SPANMESH_INSTALLATION: /);
  });

  it('never gives two buckets the same name', () => {
    const names = ['a', 'a-leases', 'leases', 'a-gateways', 'a-leases-targets', '-', '--'];
    const all = names.flatMap((name) => BUCKETS.map((bucket) => bucketOf(name, bucket)));
    expect(new Set(all).size).toBe(names.length * BUCKETS.length);
  });
});

describe('two installations on one NATS', () => {
  let server: NatsServerProcess;
  let alpha: NatsBus;
  let beta: NatsBus;

  beforeAll(async () => {
    server = await NatsServerProcess.start();
    const [a, b] = ['alpha', 'alpha-leases'].map(
      (name) =>
        new NatsBus(natsOptionsFor([server], { SPANMESH_INSTALLATION: name }), {
          clock: systemClock,
          logger: recordingLogger().logger,
          onError: () => {},
        }),
    ) as [NatsBus, NatsBus];
    [alpha, beta] = [a, b];
    await Promise.all([a, b].map(({ link }) => new Promise<void>((resolve) => link.onConnect(resolve))));
  });

  afterAll(async () => {
    await Promise.all([alpha.close(), beta.close()]);
    await server.remove();
  });

  it('do not receive each other’s messages', async () => {
    const heard: string[] = [];
    const listen = (bus: Bus, name: string) =>
      new Promise<void>((resolve) => {
        bus.subscribe('>', (subject, data) => {
          heard.push(`${name}: ${subject} ${Buffer.from(data)}`);
          if (subject === 'last') resolve();
        });
      });
    const both = [listen(alpha, 'alpha'), listen(beta, 'beta')];
    await Promise.all([alpha, beta].map(({ link }) => link.nats.flush()));
    alpha.publish('events.x.y', Buffer.from('1'));
    beta.publish('events.x.y', Buffer.from('2'));
    // Each bus receives its own messages in order, so one that has not arrived by the flush will not arrive.
    for (const bus of [alpha, beta]) await bus.link.nats.flush();
    alpha.publish('last', Buffer.from(''));
    beta.publish('last', Buffer.from(''));
    await Promise.all(both);
    expect(heard.sort()).toEqual(['alpha: events.x.y 1', 'alpha: last ', 'beta: events.x.y 2', 'beta: last ']);
  });

  it('do not see each other’s stored values', async () => {
    for (const bucket of BUCKETS) {
      const [one, other] = [await alpha.kv(bucket), await beta.kv(bucket)];
      const told: string[] = [];
      await other.watch(({ key, value }) => told.push(`${key}=${value === null ? null : Buffer.from(value)}`));
      await one.create('topology', Buffer.from('a'));
      await other.create('topology', Buffer.from('b'));
      await one.delete('topology');
      await other.put('end', Buffer.from(''));
      await expect.poll(() => told.at(-1)).toBe('end=');
      expect(told).toEqual(['topology=b', 'end=']);
      expect(await one.keys()).toEqual([]);
    }
  });
});
