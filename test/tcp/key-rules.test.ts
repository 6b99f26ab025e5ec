import { constants, privateDecrypt, publicEncrypt, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { makeHandshake } from '@spanmesh/dmsg/crypto/handshake';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CryptSide, HANDSHAKE, makeKeys } from '../peer/crypt.ts';
import { KeysDir } from '../peer/keys-dir.ts';
import { World } from '../peer/world.ts';

/** An address with a key, whose handshakes need not name their receiver. */
const PEER = '127.0.0.2';
/** An address with the same key, whose handshakes must (.bound). */
const BOUND = '127.0.0.3';
/** An address with the same key, which is taken away later. A wider rule allows plaintext. */
const STOLEN = '127.0.2.7';
const NEIGHBOUR = '127.0.2.8';
const MAY_FAIL = 3;
/** A handshake that fails ends after this time. It is long, because a good one must fit into it on a busy machine. */
const HANDSHAKE_TIMEOUT = '4s';

let keys: KeysDir;
let world: World;

beforeAll(async () => {
  keys = new KeysDir();
  const { pub } = keys.peer;
  for (const address of [PEER, BOUND, STOLEN]) keys.write(`remote/${address}.pub`, pub);
  keys.write(`remote/${BOUND}.bound`, '');
  keys.write('remote/127.0.2.0_24.none', '');
  world = await World.start({
    markers: 'linkid',
    settings: {
      SPANMESH_KEYS_DIR: keys.path,
      SPANMESH_HANDSHAKE_TIMEOUT: HANDSHAKE_TIMEOUT,
      SPANMESH_FAILED_HANDSHAKES_PER_ADDRESS: String(MAY_FAIL),
    },
  });
});
afterEach(() => world.clear());
afterAll(async () => {
  await world?.stop();
  keys?.remove();
});

async function metric(name: string): Promise<number> {
  return (await world.metrics()).get(`spanmesh_gateway_${name}`) ?? 0;
}

/** A connection from this address whose received bytes are ignored. */
async function dial(localAddress: string): Promise<{ socket: Socket; isOver: () => boolean }> {
  const { socket } = await world.raw('circuit', { localAddress });
  socket.removeAllListeners('data');
  socket.resume();
  let isOver = false;
  for (const event of ['end', 'close']) socket.on(event, () => (isOver = true));
  return { socket, isOver: () => isOver };
}

/**
 * Connects, sends these bytes, and waits until the gateway either closes the connection or has increased the counter.
 * True: the latter.
 */
async function isCounted(localAddress: string, wire: Uint8Array, counter: string): Promise<boolean> {
  const before = await metric(counter);
  const { socket, isOver } = await dial(localAddress);
  socket.write(wire);
  await until(
    async () => isOver() || (await metric(counter)) > before,
    () => 'it is taken or refused',
  );
  socket.destroy();
  return (await metric(counter)) > before;
}

/** The result of a handshake that is sent from this address. */
async function fate(localAddress: string, wire: Uint8Array): Promise<'taken' | 'refused'> {
  return (await isCounted(localAddress, wire, 'handshakes_total')) ? 'taken' : 'refused';
}

/** Whether a peer at this address is accepted without a key. */
function plaintext(localAddress: string): Promise<boolean> {
  return isCounted(localAddress, new Uint8Array(0), 'connections_accepted_total');
}

describe('a handshake that was made for another router', () => {
  const hostile = makeKeys();
  const forHostile = () => ({ own: keys.peer.own, peer: hostile.shown });

  /**
   * What a hostile router can do: decrypt the layer that is meant for it, and encrypt the rest for our router. It has
   * no key but its own.
   */
  function forward(wire: Uint8Array): Buffer {
    const padding = constants.RSA_NO_PADDING;
    return Buffer.concat(
      [0, HANDSHAKE / 2].map((at) => {
        const signed = privateDecrypt({ key: hostile.own, padding }, wire.subarray(at, at + HANDSHAKE / 2));
        return publicEncrypt({ key: keys.router.shown, padding }, signed);
      }),
    );
  }

  it('is accepted from a peer that does not name the receiver: the protocol allows no better', async () => {
    expect(await fate(PEER, forward(new CryptSide(forHostile()).handshake))).toBe('taken');
  });

  it('is refused from such a peer where .bound asks for it, and so are its own', async () => {
    const forged = fate(BOUND, forward(new CryptSide(forHostile()).handshake));
    const unbound = fate(BOUND, new CryptSide(keys.crypt).handshake);
    expect(await Promise.all([forged, unbound])).toEqual(['refused', 'refused']);
  });

  it('is refused from a peer that names another receiver, as spanmesh does, with or without .bound', async () => {
    const forged = () => forward(makeHandshake(forHostile(), randomBytes).wire);
    expect(await fate(BOUND, makeHandshake(keys.crypt, randomBytes).wire)).toBe('taken');
    expect(await Promise.all([fate(PEER, forged()), fate(BOUND, forged())])).toEqual(['refused', 'refused']);
  });
});

describe('handshakes that fail', () => {
  it('are refused before they begin once too many of an address have failed, and only for that address', async () => {
    const limits = 'failed_handshake_limits_total{of="address"}';
    expect(await metric(limits)).toBe(1);
    const refusals = 'connections_refused_total{reason="too-many-failed-handshakes-of-address"}';
    const before = await metric(refusals);
    // Three handshakes of BOUND have failed in the tests above.
    expect(await plaintext(BOUND)).toBe(false);
    expect(await metric(refusals)).toBe(before + 1);
    expect(await fate(PEER, makeHandshake(keys.crypt, randomBytes).wire)).toBe('taken');
  });
});

describe('a key that is taken away', () => {
  const reloads = () => metric('keys_reloads_total');

  it('leaves its peer refused, not in plaintext by a wider rule, until a file of its own allows that', async () => {
    expect([await plaintext(NEIGHBOUR), await fate(STOLEN, makeHandshake(keys.crypt, randomBytes).wire)]).toEqual([
      true,
      'taken',
    ]);
    const refusals = 'connections_refused_total{reason="key-withdrawn"}';
    rmSync(join(keys.path, 'remote', `${STOLEN}.pub`));
    await until(
      async () => {
        await plaintext(STOLEN);
        return (await metric(refusals)) > 0;
      },
      () => 'the key counts as taken away',
    );
    expect([await plaintext(STOLEN), await plaintext(NEIGHBOUR)]).toEqual([false, true]);
    const before = await reloads();
    keys.write(`remote/${STOLEN}.none`, '');
    await until(
      async () => (await reloads()) > before,
      () => 'the file is seen',
    );
    expect(await plaintext(STOLEN)).toBe(true);
  });

  it('.refused keeps out a peer that has other files, too', async () => {
    const before = await reloads();
    keys.write('remote/127.0.2.0_24.refused', '');
    await until(
      async () => (await reloads()) > before,
      () => 'the file is seen',
    );
    expect([await plaintext(STOLEN), await plaintext(NEIGHBOUR)]).toEqual([false, false]);
    expect(await metric('connections_refused_total{reason="revoked"}')).toBeGreaterThan(1);
  });
});
