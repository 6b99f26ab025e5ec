import { randomBytes } from 'node:crypto';
import { CryptSide } from '../../peer/crypt.ts';
import type { Attack } from '../attack.ts';
import type { Attacker } from '../attacker.ts';
import { manyAddressesOf } from '../target.ts';

/** The 12 bytes that a PROXY header of version 2 begins with. */
const PROXY_SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

async function hoard(
  attacker: Attacker,
  perSecond: number,
  from: string,
  first: () => Uint8Array | null,
): Promise<void> {
  await attacker.pace(perSecond, async () => {
    const bytes = first();
    void attacker.connect({ port: attacker.target.circuit, from }).then((socket) => bytes && socket?.write(bytes));
  });
}

/** Attacks by connections: opening, keeping and abandoning them. */
export const CONNECTION_ATTACKS: readonly Attack[] = [
  {
    name: 'many-addresses',
    about: 'a connection with a LNK_CONN from each of 2,000 addresses, until there are as many as may be',
    stop: { kind: 'limited', resource: 'connections' },
    run: (attacker) => {
      const addresses = manyAddressesOf(attacker.target);
      return attacker.pace(attacker.load(300, 2_000), () => {
        const from = addresses[attacker.tried % addresses.length];
        void attacker.peer('circuit', {
          conn: { peerMask: 0n, label: `many ${attacker.tried}` },
          ...(from && { from }),
        });
      });
    },
  },
  {
    name: 'many-addresses-silent',
    about: 'connections that never say anything, from 2,000 addresses',
    stop: { kind: 'refused', says: 'silent' },
    run: (attacker) => {
      const addresses = manyAddressesOf(attacker.target);
      return attacker.pace(200, () => {
        const from = addresses[attacker.tried % addresses.length];
        void attacker.connect({ port: attacker.target.circuit, ...(from && { from }) });
      });
    },
  },
  {
    name: 'silent-connections',
    about: 'connections that never say anything',
    stop: { kind: 'refused', says: 'silent' },
    run: (attacker) => hoard(attacker, 100, attacker.addresses.plain, () => null),
  },
  {
    name: 'connection-hoard',
    about: 'as many connections with a LNK_CONN as he gets, all kept',
    stop: { kind: 'limited', resource: 'connections' },
    run: (attacker) =>
      attacker.pace(attacker.load(400, 1000), () => {
        // Not awaited, so that connections are opened side by side.
        void attacker.peer('circuit', { conn: { label: `hoard ${attacker.tried}` } });
      }),
  },
  // Must not run right before or after half-proxy-headers: refusals for the same reason share one log line for ten
  // seconds.
  {
    name: 'wrong-proxy-headers',
    about: 'connections from a balancer with a PROXY header that names no addresses it could have',
    stop: { kind: 'refused', says: 'proxy-header' },
    run: (attacker) => {
      const header = Buffer.concat([PROXY_SIGNATURE, Buffer.from([0x21, 0x11, 0, 4, 1, 2, 3, 4])]);
      return hoard(attacker, 100, attacker.addresses.balancer, () => header);
    },
  },
  {
    name: 'connection-churn',
    about: 'connections that are made and reset, 200 a second',
    stop: {
      kind: 'absorbed',
      because: 'one is accepted in a turn of the event loop, and each is gone before the next: nothing is held',
    },
    run: (attacker) =>
      attacker.pace(200, async () => (await attacker.connect({ port: attacker.target.circuit }))?.resetAndDestroy()),
  },
  {
    name: 'conn-churn',
    about: 'the same, each with a LNK_CONN of another label before it is reset',
    stop: {
      kind: 'absorbed',
      because: 'one is accepted in a turn of the event loop, and each is gone before the next: nothing is held',
    },
    run: (attacker) =>
      attacker.pace(100, async () => {
        const peer = await attacker.peer('circuit', { conn: { label: `churn ${attacker.tried}` } });
        await attacker.pause(5);
        peer?.socket.resetAndDestroy();
      }),
  },
  {
    name: 'strangers',
    about: 'connections from an address that no file names, 200 a second',
    stop: { kind: 'refused', says: 'connection refused' },
    run: (attacker) => hoard(attacker, 200, attacker.addresses.unknown, () => null),
  },
  {
    name: 'half-open',
    about: 'connections whose sending half is closed at once and whose other half never',
    stop: {
      kind: 'absorbed',
      because: 'a half-close is the end of the link: the gateway closes both, and nothing is held',
    },
    run: (attacker) => attacker.pace(100, async () => (await attacker.peer('linkid', { conn: {} }))?.socket.end()),
  },
  {
    name: 'half-handshakes',
    about: 'encrypted connections that send 200 of the 512 bytes and no more',
    stop: { kind: 'refused', says: 'handshakes' },
    run: (attacker) => hoard(attacker, 100, attacker.addresses.keyed, () => randomBytes(200)),
  },
  {
    name: 'failed-handshakes',
    about: 'handshakes of noise, 100 a second',
    stop: { kind: 'refused', says: 'handshakes keep failing' },
    run: (attacker) => hoard(attacker, 100, attacker.addresses.keyed, () => randomBytes(512)),
  },
  {
    name: 'replayed-handshakes',
    about: 'one good handshake of his own, sent again and again',
    stop: { kind: 'refused', says: 'replay' },
    run: async (attacker) => {
      const { handshake } = new CryptSide(attacker.keys);
      await hoard(attacker, 50, attacker.addresses.keyed, () => handshake);
    },
  },
  {
    name: 'fresh-handshakes',
    about: 'good handshakes, as many as he can make, to push those of others out of the memory of replays',
    stop: {
      kind: 'absorbed',
      because: 'RSA takes turns between addresses; his handshakes push none but his own out of the memory of replays',
    },
    run: async (attacker) => {
      await attacker.pace(30, async () => {
        const { handshake } = new CryptSide(attacker.keys);
        const socket = await attacker.connect({ port: attacker.target.circuit, from: attacker.addresses.keyed });
        socket?.write(handshake);
        setTimeout(() => socket?.destroy(), 50);
      });
    },
  },
  {
    name: 'half-proxy-headers',
    about: 'connections from a balancer that begin a PROXY header and never end it',
    stop: { kind: 'refused', says: 'proxy-header' },
    run: (attacker) => hoard(attacker, 100, attacker.addresses.balancer, () => PROXY_SIGNATURE.subarray(0, 8)),
  },
  {
    name: 'uncalled-proxy-headers',
    about: 'a PROXY header that names an honest address, from one that is no balancer',
    stop: { kind: 'refused', says: 'connection closed' },
    run: (attacker) => {
      const addresses = [127, 0, 0, 11, 127, 0, 0, 1, 0x30, 0x39, 0x27, 0x03];
      const header = Buffer.concat([PROXY_SIGNATURE, Buffer.from([0x21, 0x11, 0, 12, ...addresses]), Buffer.alloc(64)]);
      return hoard(attacker, 50, attacker.addresses.plain, () => header);
    },
  },
  {
    name: 'trunk-strangers',
    about: 'connections to the port of other gateways, without a token',
    stop: { kind: 'refused', says: 'trunk refused' },
    run: (attacker) =>
      attacker.pace(100, async () => {
        const socket = await attacker.connect({ port: attacker.target.trunk });
        socket?.write(randomBytes(64));
      }),
  },
];
