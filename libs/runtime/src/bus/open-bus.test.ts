import { describe, expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import { samples } from '../metrics.fixture.ts';
import { Metrics } from '../metrics.ts';
import { installationSetting } from '../settings/installation-setting.ts';
import { readSettings } from '../settings/setting.ts';
import { recordingLogger } from '../tls/certificates.fixture.ts';
import { natsPart } from './nats/nats-bus.ts';
import { natsSettings } from './nats/nats-settings.ts';
import { openBus } from './open-bus.ts';

/** Nobody listens there. */
const NOBODY = 'nats://127.0.0.1:1';

function opening(env: Record<string, string>) {
  const { lines, logger } = recordingLogger();
  const metrics = new Metrics();
  const clock = new FakeClock();
  const options = readSettings({ ...natsSettings, ...installationSetting }, { env, flags: {} });
  return { open: () => openBus(options, { logger, metrics, clock }), lines, metrics, clock };
}

describe('the bus of a process', () => {
  it('is within the process if the settings name no server of NATS', async () => {
    const { open, metrics, lines } = opening({});
    const { bus, link, copies, check } = open();
    expect([link, await copies(), await check()]).toEqual([null, [], undefined]);
    const kv = await bus.kv('b');
    expect(await kv.put('a', new Uint8Array())).toBe(1);
    bus.subscribe('a', () => {
      throw new Error('trouble');
    });
    bus.publish('a', new Uint8Array());
    await bus.close();
    expect([await samples(metrics), lines]).toEqual([{}, []]);
  });

  it('logs what a subscriber throws', async () => {
    const { open, lines } = opening({});
    const { bus } = open();
    const called = new Promise<void>((resolve) => {
      bus.subscribe('a', () => {
        resolve();
        throw new Error('trouble');
      });
    });
    bus.publish('a', new Uint8Array());
    await called;
    await bus.close();
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      {
        level: 'error',
        where: 'a',
        msg: 'a subscriber of the bus failed; the others go on',
        err: { message: 'trouble' },
      },
    ]);
  });

  it('works while no server of NATS is there, and says so', async () => {
    const { open, metrics } = opening({ SPANMESH_NATS_URL: NOBODY });
    const { bus, link, copies } = open();
    expect([link?.connected, link?.losses, await copies()]).toEqual([false, 0, []]);
    expect(await samples(metrics)).toEqual({ nats_connected: 0, nats_losses_total: 0 });
    bus.publish('a', new Uint8Array());
    bus.subscribe('a', () => {}).unsubscribe();
    const kv = await bus.kv('b');
    expect(await bus.kv('b')).toBe(kv);
    await expect(kv.get('a')).rejects.toMatchObject({ code: 'unavailable' });
    await expect(bus.kv('a.b')).rejects.toMatchObject({ code: 'invalid' });
    for (const use of [() => bus.publish('a.*', new Uint8Array()), () => bus.subscribe('a..b', () => {})]) {
      expect(use).toThrow(expect.objectContaining({ code: 'invalid' }));
    }
    await bus.close();
    for (const use of [() => bus.publish('a', new Uint8Array()), () => bus.subscribe('a', () => {})]) {
      expect(use).toThrow(expect.objectContaining({ code: 'closed' }));
    }
    await expect(bus.kv('b')).rejects.toMatchObject({ code: 'closed' });
    await expect(kv.get('a')).rejects.toMatchObject({ code: 'closed' });
  });

  it('does not wait longer than three seconds for NATS', async () => {
    const { open, clock, lines } = opening({ SPANMESH_NATS_URL: NOBODY });
    const { bus, check } = open();
    let isOver = false;
    const checked = check().then(() => {
      isOver = true;
    });
    clock.advance(2999);
    await new Promise((resolve) => setImmediate(resolve));
    expect(isOver).toBe(false);
    clock.advance(1);
    await checked;
    expect(lines.join()).toContain('NATS cannot be reached yet: this process goes on');
    await bus.close();
  });
});

describe('settings of NATS that contradict each other', () => {
  it.each([
    [{ SPANMESH_NATS_USER: 'a', SPANMESH_NATS_TOKEN: 't' }, 'SPANMESH_NATS_TOKEN', 'together with SPANMESH_NATS_USER'],
    [{ SPANMESH_NATS_TOKEN: 't', SPANMESH_NATS_NKEY_FILE: 'n' }, 'SPANMESH_NATS_NKEY_FILE', 'with SPANMESH_NATS_TOKEN'],
    [
      { SPANMESH_NATS_NKEY_FILE: 'n', SPANMESH_NATS_CREDS_FILE: 'c' },
      'SPANMESH_NATS_CREDS_FILE',
      'with SPANMESH_NATS_NKEY_FILE',
    ],
    [
      { SPANMESH_NATS_USER: 'a', SPANMESH_NATS_PASSWORD: 'p', SPANMESH_NATS_PASSWORD_FILE: 'f' },
      'SPANMESH_NATS_PASSWORD_FILE',
      'with SPANMESH_NATS_PASSWORD',
    ],
    [{ SPANMESH_NATS_PASSWORD: 'p' }, 'SPANMESH_NATS_USER', 'must be set, too'],
    [{ SPANMESH_NATS_PASSWORD_FILE: 'f' }, 'SPANMESH_NATS_USER', 'must be set, too'],
    [{ SPANMESH_NATS_TLS_CERT: 'c' }, 'SPANMESH_NATS_TLS_KEY', 'must be set, too'],
    [{ SPANMESH_NATS_TLS_KEY: 'k' }, 'SPANMESH_NATS_TLS_CERT', 'must be set, too'],
  ])('%j: refused, whether or not a server is named', (env, setting, words) => {
    expect(opening(env).open).toThrow(expect.objectContaining({ setting, message: expect.stringContaining(words) }));
  });

  it.each([
    [{ SPANMESH_NATS_USER: 'a' }],
    [{ SPANMESH_NATS_USER: 'a', SPANMESH_NATS_PASSWORD: 'p' }],
    [{ SPANMESH_NATS_USER: 'a', SPANMESH_NATS_PASSWORD_FILE: 'f' }],
    [{ SPANMESH_NATS_TLS_CERT: 'c', SPANMESH_NATS_TLS_KEY: 'k' }],
  ])('%j does not', async (env) => {
    await opening(env).open().bus.close();
  });
});

it.each([
  ['nats://192.0.2.1', {}, true],
  ['127.0.0.1,192.0.2.1', {}, true],
  ['127.0.0.1,localhost,[::1]:4222', {}, false],
  ['tls://192.0.2.1', {}, false],
  ['192.0.2.1', { SPANMESH_NATS_TLS_CA: 'ca' }, false],
  ['192.0.2.1', { SPANMESH_NATS_TLS_CERT: 'c', SPANMESH_NATS_TLS_KEY: 'k' }, false],
])('of plaintext to NATS at %s (%j) the log warns: %s', async (url, files, warns) => {
  // The files are read after the warning, and there are none.
  const { open, lines } = opening({ SPANMESH_NATS_URL: url, ...files });
  try {
    await open().bus.close();
  } catch (error) {
    expect((error as Error).message).toContain('there is no such file');
  }
  const warned = lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg.startsWith('plaintext to NATS'));
  expect(warned).toMatchObject(warns ? [{ level: 'warn', server: '192.0.2.1' }] : []);
});

it('each service has answers of its own on NATS, and gateways make no buckets', () => {
  const part = (service: string) => natsPart(service, { installation: 'main' });
  expect(part('topology')).toEqual({ inboxes: '_INBOX.main.topology', makesBuckets: true });
  expect(part('link-gateway')).toEqual({ inboxes: '_INBOX.main.link-gateway', makesBuckets: false });
});
