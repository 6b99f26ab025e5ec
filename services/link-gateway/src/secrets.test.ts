import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { HANDSHAKE_BYTES, Handshake, makeHandshake } from '@spanmesh/dmsg/crypto/handshake';
import { StreamSealer } from '@spanmesh/dmsg/crypto/stream-sealer';
import { CIRCUIT } from '@spanmesh/dmsg/dialect';
import { encodeMessage } from '@spanmesh/dmsg/message';
import { TestDirectory, testKeys } from '@spanmesh/dmsg-socket/keys/keys.fixture';
import { afterEach, describe, expect, it } from 'vitest';
import { CONN, lnkConnPayload, openConn, TestGateway } from './testing/gateway.fixture.ts';
import { shownOf } from './testing/secrets.fixture.ts';

const ours = testKeys();
const theirs = testKeys();
const other = testKeys();
const keys = { own: theirs.own, peer: ours.shown };

/** The numbers of an RSA private key that must stay secret. */
const privateParts = ['d', 'p', 'q', 'dp', 'dq', 'qi'] as const;

let made: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of made) await one.stop();
  made = [];
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('key material', () => {
  it('is in no log line, error or metric, whatever peers do', async () => {
    const directory = new TestDirectory({
      'rsa.prv': ours.prv,
      // Wrong on purpose: the log line about it must not show the private key in it.
      'rsa.pub': ours.prv,
      'remote/127.0.0.1.pub': theirs.pub,
      'remote/127.0.0.2.pub': other.prv,
      'remote/127.0.0.3.none': other.prv,
      [`remote/${other.pub.split('\n')[1]!.slice(0, 20).replaceAll('/', '')}.pub`]: other.pub,
    });
    const gateway = await TestGateway.start({ env: { SPANMESH_KEYS_DIR: directory.path } });
    made.push({ stop: async () => directory.remove() }, gateway);
    const secrets: Uint8Array[] = [ours, theirs, other].flatMap(({ own }) => {
      const jwk = own.export({ format: 'jwk' }) as Record<string, string>;
      return privateParts.map((part) => Buffer.from(jwk[part]!, 'base64url'));
    });

    const sockets: Socket[] = [];
    const dial = async (localAddress = '127.0.0.1') => {
      const socket = connect({ host: '127.0.0.1', port: gateway.port('circuit'), localAddress });
      socket.on('error', () => {});
      socket.resume();
      sockets.push(socket);
      await once(socket, 'connect');
      return socket;
    };
    // A peer that is accepted, and then sends a message out of sequence.
    const handshake = new Handshake(keys, { random: randomBytes, replays: null });
    const { wire, session } = handshake;
    secrets.push(session, wire);
    const good = await dial();
    // The gateway's own session material must not be shown either.
    const theirHalf = new Promise<Uint8Array>((resolve) => {
      good.on('data', (chunk) => {
        const peer = handshake.push(chunk);
        if (peer === null) return;
        good.removeAllListeners('data');
        good.resume();
        resolve(peer.session);
      });
    });
    const sealer = new StreamSealer(session);
    const message = encodeMessage({
      rules: CIRCUIT,
      cmd: openConn('circuit'),
      msgid: CONN,
      payload: lnkConnPayload('circuit'),
      salt: 0,
    });
    good.write(Buffer.concat([wire, sealer.seal(message)]));
    secrets.push(await theirHalf);
    await gateway.attach.until((delta) => delta.lnkConnsOpened.length === 1);
    good.write(sealer.seal(message));
    await once(good, 'close');
    // Bad handshakes: the same one again, one with a bit flipped, noise, another peer's, and a good one followed by a
    // bad tag.
    const flipped = Buffer.from(makeHandshake(keys, randomBytes).wire);
    flipped[100]! ^= 1;
    const fresh = makeHandshake(keys, randomBytes);
    secrets.push(fresh.session);
    const strange = makeHandshake({ own: other.own, peer: ours.shown }, randomBytes);
    secrets.push(strange.session);
    for (const bytes of [
      wire,
      flipped,
      randomBytes(512),
      strange.wire,
      Buffer.concat([fresh.wire, randomBytes(160)]),
    ]) {
      const socket = await dial();
      socket.write(bytes);
      const closed = once(socket, 'close');
      // A failed handshake is closed when its time is over. The last handshake is accepted, and the chunk after it
      // fails.
      const isLast = bytes.length > HANDSHAKE_BYTES;
      while (!isLast && !(await gateway.metrics.text()).includes('handshakes_to_close 1')) await turn();
      if (!isLast) gateway.clock.advance(10_000);
      await closed;
    }
    await once(await dial('127.0.0.2'), 'close');
    await once(await dial('127.0.0.9'), 'close');
    const cut = await dial();
    cut.end(wire.subarray(0, 200));
    await once(cut, 'close');
    for (const socket of sockets) socket.destroy();

    const log = gateway.log.map((line) => JSON.stringify(line));
    const said = log.join('\n') + (await gateway.metrics.text());
    // Each failure must have been logged or counted.
    for (const word of ['MSGSEQ', 'replay', 'KEYXCHGFAIL', 'MACFAIL', 'bad-key', 'no-key', 'closed', 'rsa.pub']) {
      expect(said).toContain(word);
    }
    for (const secret of secrets) expect(shownOf(secret, said)).toEqual([]);
    expect(said).not.toMatch(/BEGIN|PRIVATE/);
    for (const { prv } of [ours, theirs, other]) {
      for (const line of prv.split('\n').filter((text) => text.length > 40))
        expect(said).not.toContain(line.slice(0, 20));
    }
  });
});
