import { encodeVolconf, LNK_VOLCONF_BYTES } from '@spanmesh/dmsg/payload/lnk-volconf';
import { NIL_UUID, testUuid } from '../../peer/payloads.ts';
import { DBG_SHELL, LNK_VOLCONF, textAux } from '../../peer/wire.ts';
import type { Attack } from '../attack.ts';

function volconf(media: string, index: number, path: string, copyId = 1): Buffer {
  const body = Buffer.alloc(LNK_VOLCONF_BYTES);
  const slot = {
    index,
    mediaId: media,
    copy: {
      copyId,
      inprog: 0,
      chainTo: 0,
      chainFrom: 0,
      flags: 1,
      error: 0,
      priority: 0,
      remotePfsType: 0,
      pfsClid: NIL_UUID,
      label: '',
      path,
    },
  };
  encodeVolconf(slot, body, 0);
  return body;
}

/** Attacks that make the gateway connect to targets. */
export const DIAL_ATTACKS: readonly Attack[] = [
  {
    name: 'slots',
    about: 'LNK_VOLCONFs for all slots of as many media as he can have, of names that do not exist',
    stop: { kind: 'refused', says: 'LNK_VOLCONF ignored' },
    run: async (attacker) => {
      const peer = await attacker.peer('linkid', { conn: { media: testUuid(0x66aa0000), peerMask: 0n } });
      const conns = Array.from({ length: 12 }, (_, n) => {
        const media = testUuid(0x66aa0001 + n);
        return { media, msgid: peer?.openConn({ media, peerMask: 0n }) ?? 0n };
      });
      await attacker.pace(1_000, () => {
        const { media, msgid } = conns[(attacker.tried >> 8) % conns.length]!;
        return peer?.sendAll([
          { cmd: LNK_VOLCONF, msgid, body: volconf(media, attacker.tried & 255, 'span:no.such.invalid') },
        ]);
      });
    },
  },
  {
    name: 'dead-names',
    about: 'a LNK_VOLCONF for 200 different names that have no address',
    stop: {
      kind: 'absorbed',
      because: 'look-ups take turns between who asks, and are few at a time: his keep nobody else’s waiting',
    },
    run: async (attacker) => {
      const media = testUuid(0x66bb0000);
      const peer = await attacker.peer('linkid', { conn: null });
      const msgid = peer?.openConn({ media, peerMask: 0n }) ?? 0n;
      await attacker.pace(200, () => {
        const path = `span:n${attacker.tried}.invalid`;
        return peer?.sendAll([{ cmd: LNK_VOLCONF, msgid, body: volconf(media, attacker.tried % 200, path) }]);
      });
    },
  },
  {
    name: 'media-takeover',
    about: 'the media of an honest peer, by its id: its slot is set elsewhere, and cleared',
    stop: { kind: 'refused', says: 'not-the-owner' },
    run: async (attacker) => {
      const { media } = attacker.target;
      const peer = await attacker.peer('circuit', { conn: null });
      const msgid = peer?.openConn({ media, peerMask: 0n }) ?? 0n;
      await attacker.pace(20, async () => {
        await peer?.sendAll([{ cmd: LNK_VOLCONF, msgid, body: volconf(media, 0, 'span:192.0.2.1') }]);
        await peer?.sendAll([{ cmd: LNK_VOLCONF, msgid, body: volconf(media, 0, 'span:192.0.2.1', 0) }]);
      });
    },
  },
  {
    name: 'shell-scanner',
    about: 'the shell’s span to one port after the other of this host',
    stop: { kind: 'limited', resource: 'forbidden dials' },
    run: async (attacker) => {
      const peer = await attacker.peer('linkid', { conn: { peerMask: 0n } });
      await attacker.pace(100, () =>
        peer?.send({ cmd: DBG_SHELL, aux: textAux(`span 127.0.0.1:${1000 + attacker.tried}`) }),
      );
    },
  },
];
