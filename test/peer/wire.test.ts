import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { captureNames, loadCapture } from './capture.ts';
import { LivePeer } from './live-peer.ts';
import { parseSpan, spanBody, spanFields, testUuid } from './payloads.ts';
import { RawPeer } from './raw-peer.ts';
import {
  crc32c,
  DBG_SHELL,
  type Dialect,
  encode,
  fieldWriter,
  LNK_ERROR,
  LNK_PING,
  LNK_SPAN,
  MessageReader,
  REPLY,
  sealHeader,
  textAux,
  textOf,
} from './wire.ts';

const plain = captureNames().filter((name) => !/^v\d-7/.test(name));

describe('the codec of the tests', () => {
  it('computes CRC-32C', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  });

  it.each(plain)('reads %s and writes the same bytes', (name) => {
    const { dialect, entries } = loadCapture(name);
    let count = 0;
    for (const entry of entries) {
      if (entry.kind !== 'message') continue;
      const reader = new MessageReader(dialect, { checkSalt: false, checkZero: 'none' });
      const [message, ...more] = reader.push(entry.bytes);
      expect(more).toEqual([]);
      expect(reader.pendingBytes).toBe(0);
      const again = encode(
        dialect,
        {
          ...message!,
          aux: message!.aux.subarray(0, dialect === 'circuit' ? message!.auxBytes : undefined),
        },
        message!.salt,
      );
      // Fields that `encode` always sends as 0 and that are not 0 in v2-2d.
      again.writeBigUInt64LE(message!.auxDescr, 48);
      entry.bytes.copy(again, 2, 2, 4);
      entry.bytes.copy(again, 56, 56, 60);
      if (message!.aux.length === 0) again.writeUInt32LE(message!.auxCrc, 36);
      sealHeader(again, 64 + message!.body.length, message!.bigEndian);
      expect(again.toString('hex')).toBe(entry.bytes.toString('hex'));
      count++;
    }
    expect(count).toBeGreaterThan(0);
  });

  it.each(['linkid', 'circuit'] as Dialect[])('reads a %s stream byte by byte, in either byte order', (dialect) => {
    const reader = new MessageReader(dialect);
    const stream = Buffer.concat([
      encode(dialect, { cmd: DBG_SHELL, aux: textAux('help'), bigEndian: true }, 0xabcd0000),
      encode(dialect, { cmd: LNK_PING, msgid: 0xfff123n }, 0x12340001),
    ]);
    const messages = [...stream].flatMap((byte) => reader.push(Uint8Array.of(byte)));
    expect(messages.map(({ cmd }) => cmd)).toEqual([DBG_SHELL, LNK_PING]);
    expect(textOf(messages[0]!)).toBe('help');
    expect(messages[1]!.msgid).toBe(0xfff123n);
  });

  it('reports each fault', () => {
    const good = encode('circuit', { cmd: DBG_SHELL, aux: textAux('x') }, 0);
    const bad = (change: (raw: Buffer) => void, seal = true) => {
      const raw = Buffer.from(good);
      change(raw);
      if (seal) sealHeader(raw, 64, false);
      return () => new MessageReader('circuit').push(raw);
    };
    expect(bad((raw) => raw.writeUInt16LE(0x1111, 0))).toThrow('magic');
    expect(bad((raw) => raw.writeUInt8(1, 60), false)).toThrow('hdr_crc');
    expect(bad((raw) => raw.writeUInt8(1, 100))).toThrow('aux_crc');
    expect(bad((raw) => fieldWriter(raw, false).u32(4, 7))).toThrow('salt');
    expect(bad((raw) => raw.writeUInt8(0, 32))).toThrow('header of 0');
    expect(bad((raw) => raw.writeUInt8(1, 24))).toThrow('link_verifier');
  });

  it.each(['linkid', 'circuit'] as Dialect[])('lays out a %s span so that it can be read back', (dialect) => {
    const fields = spanFields({
      cluster: testUuid(7),
      dist: dialect === 'linkid' ? -3 : 0xfffffffd,
      nodeLabel: 'n',
      pfsType: 3,
      ...(dialect === 'circuit' ? { rnss: 0xffffffff, clusterLabel: 'c' } : {}),
    });
    expect(parseSpan(dialect, spanBody(dialect, fields))).toEqual(fields);
  });
});

describe('the peers of the tests, against each other', () => {
  it('send, wait, answer and notice the end', async () => {
    const accepted = Promise.withResolvers<RawPeer>();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      accepted.resolve(new RawPeer(socket, 'circuit', 'server'));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    try {
      const peer = await LivePeer.connect({ port, dialect: 'circuit' });
      const far = await accepted.promise;
      far.send({ cmd: 0x80000000 | LNK_SPAN, msgid: 5n, body: spanBody('circuit', spanFields({ dist: 4 })) });
      const relay = await peer.relay(({ dist }) => dist === 4);
      expect(relay.msgid).toBe(5n);
      await far.expectCmd(0xa80fff01, 5n);
      far.send({ cmd: 0x40000000 | LNK_ERROR, msgid: 5n });
      await peer.relayGone(() => true);
      await far.expectCmd(0x680fff01, 5n);
      const barrier = peer.barrier();
      await far.expectCmd(LNK_PING);
      far.send({ cmd: LNK_PING | REPLY });
      await barrier;
      await expect(
        Promise.all([peer.raw.next('a message after the end'), Promise.resolve().then(() => far.end())]),
      ).rejects.toThrow('ended');
      expect(await peer.raw.untilEnded()).toBe('fin');
      peer.raw.destroy();
      far.destroy();
    } finally {
      server.close();
    }
  });
});
