import { join } from 'node:path';
import { TestDirectory, testKeys } from '@spanmesh/dmsg-socket/keys/keys.fixture';
import { EventKind } from '@spanmesh/proto/v1/events';
import type { Happened } from '@spanmesh/runtime/events/event-teller';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { readSettings, SettingError } from '@spanmesh/runtime/settings/setting';
import { expect, it } from 'vitest';
import { gatewaySettings } from '../settings.ts';
import { GatewayShares } from '../shares/gateway-shares.ts';
import { Entrance } from './entrance.ts';

/** An entrance with these settings, what it logs, and the events that it tells. */
function entranceWith(env: Record<string, string>) {
  const options = readSettings(gatewaySettings, { env: { SPANMESH_GATEWAY_NAME: 'gw', ...env }, flags: {} });
  const clock = new FakeClock();
  const lines: Record<string, unknown>[] = [];
  const told: [Happened, unknown][] = [];
  const logger = createLogger({
    level: 'trace',
    service: 'test',
    destination: { write: (line: string) => void lines.push(JSON.parse(line)) },
  });
  const shares = new GatewayShares(options, { limited: () => {}, endings: { size: 0, whenIdle: () => {} } });
  const events = { tell: (happened: Happened, how?: unknown) => void told.push([happened, how]) };
  return { entrance: new Entrance(options, { clock, logger, events, shares, limited: () => {} }), clock, lines, told };
}

it('an entrance whose keys cannot be read names the setting; any other error stays as it is', async () => {
  const { entrance } = entranceWith({ SPANMESH_KEYS_DIR: '/nowhere/keys' });
  const started = entrance.start();
  await expect(started).rejects.toBeInstanceOf(SettingError);
  await expect(started).rejects.toThrow(/SPANMESH_KEYS_DIR/);
  entrance.stop();
  const other = entranceWith({ SPANMESH_KEYS_DIR: '/nowhere/keys' }).entrance;
  const keys = other.keys as { start: () => Promise<void> };
  keys.start = () => Promise.reject(new RangeError('a fault'));
  await expect(other.start()).rejects.toBeInstanceOf(RangeError);
});

it('an entrance without keys starts, admits peers of this host only, and nobody once it has stopped', async () => {
  const { entrance, clock } = entranceWith({ SPANMESH_PROXY_PROTOCOL_FROM: '10.0.0.0/8' });
  await entrance.start();
  expect([entrance.keys, entrance.proxied.trusts('10.1.1.1')]).toEqual([null, true]);
  expect([entrance.admission.refusal('127.0.0.1'), entrance.admission.refusal('192.0.2.1')]).toEqual([
    null,
    'not-loopback',
  ]);
  expect(entranceWith({}).entrance.proxied.trusts('10.1.1.1')).toBe(false);
  entrance.countFailed('closed');
  entrance.countFailed('closed');
  expect(entrance.handshakesFailed).toEqual({ closed: 2 });
  entrance.stop();
  expect([entrance.admission.refusal('127.0.0.1'), clock.pending]).toEqual(['stopping', 0]);
});

it('an entrance tells of key files that are bad, of those in use, and of handshakes that keep failing', async () => {
  const { pub, prv } = testKeys();
  const directory = new TestDirectory({ 'rsa.prv': prv, 'rsa.pub': pub, 'remote/192.0.2.1.pub': 'no key' });
  const env = { SPANMESH_KEYS_DIR: directory.path, SPANMESH_FAILED_HANDSHAKES_PER_ADDRESS: '1' };
  const { entrance, clock, lines, told } = entranceWith(env);
  await entrance.start();
  const file = join('remote', '192.0.2.1.pub');
  const [[bad, how] = []] = told;
  const kind = EventKind.EVENT_KIND_KEYS_BAD;
  expect(bad).toMatchObject({
    kind,
    principal: directory.path,
    files: { inUse: 1, error: expect.stringMatching(/./) },
  });
  expect([bad?.subject, bad?.files?.files[0], how]).toEqual([
    expect.stringContaining(file),
    expect.stringContaining(file),
    { isLogged: true },
  ]);
  expect(entrance.admission.refusal('192.0.2.1')).toBe('bad-key');
  told.splice(0);
  directory.write('remote/192.0.2.1.pub', pub);
  await expect
    .poll(() => {
      clock.advance(60_000);
      return told.map(([happened]) => [happened.kind, happened.files?.error, happened.files?.inUse]);
    })
    .toContainEqual([EventKind.EVENT_KIND_KEYS_RELOADED, '', 1]);
  expect(entrance.admission.refusal('192.0.2.1')).toBeNull();
  entrance.failures.count('192.0.2.1', 'a key');
  expect(lines).toContainEqual(
    expect.objectContaining({ peer: '192.0.2.1', limit: 'address', level: expect.anything() }),
  );
  entrance.stop();
  directory.remove();
  expect(clock.pending).toBe(0);
});
