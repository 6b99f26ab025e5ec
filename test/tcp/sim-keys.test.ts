import { main } from '@spanmesh/ctl/main';
import { RecordingTerminal } from '@spanmesh/ctl/terminal.fixture';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { KeysDir } from '../peer/keys-dir.ts';
import { World } from '../peer/world.ts';

let router: KeysDir;
let peers: KeysDir;
let world: World;

beforeAll(async () => {
  router = new KeysDir();
  peers = new KeysDir({}, router.peer, router.router);
  router.write('remote/127.0.0.1.pub', router.peer.pub);
  router.write('remote/127.0.0.3.none', '');
  peers.write('remote/127.0.0.1.pub', router.router.pub);
  world = await World.start({ markers: 'linkid', settings: { SPANMESH_KEYS_DIR: router.path } });
});
afterAll(async () => {
  await world?.stop();
  router?.remove();
  peers?.remove();
});

const sim = (terminal: RecordingTerminal, ...args: string[]) =>
  main(['sim', '--connect', `127.0.0.1:${world.port(null)}`, '--dialect', 'circuit', ...args], terminal);

it('simulated peers are encrypted with --keys, and their spans reach a plaintext peer', async () => {
  const plain = await world.live('circuit', { localAddress: '127.0.0.3' });
  await plain.openConn({ label: 'plain' });
  const terminal = new RecordingTerminal();
  const code = sim(terminal, '--peers', '5', '--load', '20', '--duration', '3s', '--keys', peers.path);
  await until(
    () => plain.relays().length === 5,
    () => `${plain.relays().length} relays`,
  );
  expect(await code).toBe(0);
  expect(terminal.printed).toMatch(/done: 5 of 5 peers were up, .*; [1-9]\d* transactions? ok, 0 lost, 0 errors\n$/);
  expect((await world.metrics()).get('spanmesh_gateway_handshakes_total')).toBe(5);
});

it('without keys, or with wrong ones, no peer is accepted', async () => {
  const terminal = new RecordingTerminal();
  expect(await sim(terminal, '--peers', '2', '--duration', '1s')).toBe(1);
  expect(terminal.noted).toMatch(/no connection to 127\.0\.0\.1:\d+ \(/);
  const strangers = new KeysDir();
  strangers.write('remote/127.0.0.1.pub', router.router.pub);
  expect(await sim(terminal, '--peers', '2', '--duration', '1s', '--keys', strangers.path)).toBe(1);
  expect(terminal.noted).toMatch(/the handshake failed: /);
  strangers.remove();
  expect(await sim(terminal, '--keys', strangers.path)).toBe(1);
  expect(terminal.noted).toMatch(/the keys directory is not there/);
});
