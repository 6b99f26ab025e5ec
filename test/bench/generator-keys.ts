import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { REPLAY_DEFAULTS, ReplayMemory } from '@spanmesh/dmsg/crypto/replay';
import { Handshaker, type Secured } from '@spanmesh/dmsg-socket/handshake/handshaker';
import { systemClock } from '@spanmesh/runtime/clock';

/** Encrypts the connections of a load generator. The files contain its private key and the router's public key. */
export function encryptedBy(ownFile: string, routerFile: string): (socket: Socket) => Promise<Secured> {
  const own = createPrivateKey(readFileSync(ownFile));
  const peer = createPublicKey(readFileSync(routerFile));
  const access = { kind: 'encrypted', file: routerFile, own, peer, tagged: true, bound: false } as const;
  const handshaker = new Handshaker(
    { timeoutMs: 10_000, total: 1000, perAddress: 1000 },
    {
      clock: systemClock,
      random: randomBytes,
      replays: new ReplayMemory(REPLAY_DEFAULTS, { clock: systemClock }),
      failures: null,
    },
  );
  return (socket) =>
    new Promise((resolve, reject) => {
      handshaker.start(socket, socket.remoteAddress ?? '', access, (result) => {
        if (!('sealer' in result)) reject(new Error(`the handshake failed: ${result.failure}`));
        else resolve(result);
      });
    });
}
