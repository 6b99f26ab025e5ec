import { createPrivateKey, createPublicKey } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { captureNames, loadCapture, loadKeys } from '../peer/capture.ts';
import type { PeerKeys } from '../peer/crypt.ts';
import { KeysDir } from '../peer/keys-dir.ts';
import { Replay } from '../peer/replay.ts';
import { World } from '../peer/world.ts';

/**
 * The recorded encrypted sessions, with the recorded keys: the client's messages are encrypted again for a new session
 * with our router, and the router's answers compared with the daemon's. A was the encrypted client, B a plaintext one.
 */
const ADDRESS: Record<string, string> = { A: '127.0.0.10', B: '127.0.0.11' };

function keysOf(prv: string, pub: string): PeerKeys {
  return { own: createPrivateKey(prv), shown: createPublicKey(pub), prv, pub };
}

describe('recorded encrypted sessions', () => {
  let stop: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const one of stop.reverse()) await one();
    stop = [];
  });

  const names = captureNames().filter((name) => /^v\d-7/.test(name));
  it('there are three', () => expect(names).toHaveLength(3));

  it.each(names)('%s', async (name) => {
    const capture = loadCapture(name);
    const { daemonPrivate, daemonPublic, clientPrivate, clientPublic } = loadKeys(name);
    const tagged = !name.endsWith('untagged');
    const keys = new KeysDir(
      {
        [`${ADDRESS.A}.pub`]: clientPublic,
        [`${ADDRESS.B}.none`]: '',
        ...(!tagged && { [`${ADDRESS.A}.untagged`]: '' }),
      },
      keysOf(daemonPrivate, daemonPublic),
      keysOf(clientPrivate, clientPublic),
    );
    stop.push(async () => keys.remove());
    const world = await World.start({
      markers: capture.dialect === 'linkid' ? 'circuit' : 'linkid',
      settings: { SPANMESH_KEYS_DIR: keys.path },
    });
    stop.push(() => world.stop());
    const replay = new Replay(capture, {
      connect: (conn) =>
        world.raw(capture.dialect, {
          name: conn,
          localAddress: ADDRESS[conn]!,
          ...(conn === 'A' && { crypt: { ...keys.crypt, tagged } }),
        }),
      settled: (peers) => world.settled(...peers),
      oursFor: () => 'as recorded',
    });
    await replay.run();
    expect((await world.metrics()).get('spanmesh_gateway_handshakes_total')).toBe(1);
  });
});
