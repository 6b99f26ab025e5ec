import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { CREATE, DELETE, LNK_ERROR, LNK_SPAN, REPLY, REVTRANS } from '@spanmesh/dmsg/command';
import { rulesOf } from '@spanmesh/dmsg/dialect';
import { CMD_AT, CORE_HEADER_BYTES, MSGID_AT } from '@spanmesh/dmsg/header';
import { encodeMessage } from '@spanmesh/dmsg/message';
import { readU32 } from '@spanmesh/dmsg/words';
import { expect, it } from 'vitest';
import { RehearsalPeer } from './rehearsal-peer.ts';

/** What the peer has sent, message by message: command word and lower half of the msgid. */
function messagesOf(bytes: Buffer): { cmd: number; msgid: number }[] {
  const messages = [];
  for (let at = 0; at < bytes.length; ) {
    const cmd = readU32(bytes, at + CMD_AT);
    messages.push({ cmd, msgid: readU32(bytes, at + MSGID_AT) });
    at += (cmd & 0xff) * CORE_HEADER_BYTES;
  }
  return messages;
}

it.each([
  { dialect: 'circuit', side: REPLY | REVTRANS },
  { dialect: 'linkid', side: REPLY },
] as const)('answers what a gateway opens and closes in $dialect, however it comes', async ({ dialect, side }) => {
  const rules = rulesOf(dialect);
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  let onRead = () => {};
  const peer = new RehearsalPeer(
    { port, dialect, media: 1 },
    { onRead: () => onRead(), onLost: (error) => expect.fail(error.message) },
  );
  const [gateway] = (await once(server, 'connection')) as [Socket];
  const received: Buffer[] = [];
  gateway.on('data', (bytes) => received.push(bytes));
  const sent = () => messagesOf(Buffer.concat(received));
  await expect.poll(sent).toEqual([{ cmd: (rules.lnkConn | CREATE) >>> 0, msgid: 1 }]);
  received.length = 0;

  const message = (cmd: number, lo: number, salt: number) =>
    encodeMessage({ rules, cmd: cmd >>> 0, msgid: { lo, hi: 0 }, salt });
  const all = Buffer.concat([
    message(LNK_ERROR | CREATE | REPLY, 1, 0),
    message(rules.lnkConn | CREATE, 7, 1),
    message(LNK_SPAN | CREATE, 8, 2),
    message(LNK_ERROR | DELETE, 8, 3),
    message(LNK_ERROR | DELETE | REPLY, 9, 4),
  ]);
  gateway.setNoDelay(true);
  for (let at = 0; at < all.length; at += 50) {
    const read = new Promise<void>((resolve) => {
      onRead = resolve;
    });
    gateway.write(all.subarray(at, at + 50));
    await read;
  }
  await expect.poll(sent).toEqual([
    { cmd: (LNK_ERROR | CREATE | side) >>> 0, msgid: 7 },
    { cmd: (LNK_ERROR | CREATE | side) >>> 0, msgid: 8 },
    { cmd: (LNK_ERROR | DELETE | side) >>> 0, msgid: 8 },
  ]);
  expect(peer).toMatchObject({ isAnswered: true, relaysOpened: 1, relaysClosed: 1 });
  peer.close();
  server.close();
});
