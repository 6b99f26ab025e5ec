import { enhancedPacket, interfaceDescription, sectionHeader } from '@spanmesh/ctl/capture/pcapng';
import { TcpFrames } from '@spanmesh/ctl/capture/tcp-frames';
import { describe, expect, it } from 'vitest';
import { captureNames } from '../peer/capture.ts';
import { type Decoded, OwnDecoder } from './decoded.ts';
import { recordingFile } from './recording-file.ts';
import { tshark } from './tshark.ts';

/**
 * Fields that tshark sets if something is wrong: a malformed message, an error of the script, a wrong checksum, a
 * missing header.
 */
const TROUBLE = ['_ws.malformed', '_ws.expert.message', 'dmsg.unparsed'];
const TRACE = ['frame.comment', 'tcp.stream', 'tcp.srcport'];

/** All messages as our own library decodes them, in the file's order. */
function decodeAll({ dialect, messages }: ReturnType<typeof recordingFile>): Decoded[] {
  const decoders = new Map<string, OwnDecoder>();
  return messages.map(({ conn, fromClient, bytes }) => {
    const direction = `${conn} ${fromClient}`;
    const decoder = decoders.get(direction) ?? new OwnDecoder(dialect);
    decoders.set(direction, decoder);
    return decoder.decode(bytes);
  });
}

/** The problems of a packet, without its comment, which tshark also reports as one. */
function troubleOf(packet: Map<string, string>): string {
  const comment = packet.get('frame.comment');
  return TROUBLE.map((field) => packet.get(field) ?? '')
    .filter((text) => text !== '' && text !== comment)
    .join('; ');
}

describe('The Wireshark dissector', () => {
  it.each(captureNames())('decodes %s as our own decoder does, and finds nothing malformed', async (name) => {
    const file = recordingFile(name);
    const expected = decodeAll(file);
    expect(expected.length).toBeGreaterThan(0);
    const fields = [...new Set(expected.flatMap((decoded) => Object.keys(decoded)))];
    const packets = await tshark(file.pcapng, { fields: [...TROUBLE, ...TRACE, ...fields] });
    expect(packets.map(troubleOf).filter((text) => text !== '')).toEqual([]);
    const got = packets.map((packet) => Object.fromEntries(fields.map((field) => [field, packet.get(field) ?? ''])));
    // A field that a message does not have is empty.
    expect(got).toEqual(
      expected.map((decoded) => Object.fromEntries(fields.map((field) => [field, decoded[field] ?? '']))),
    );
  });
});

/** The two directions of a recording's first connection as streams of bytes, cut into segments of so many bytes. */
function resegmented(name: string, { bytes, comment }: { bytes: number; comment: string }): Buffer {
  const { messages } = recordingFile(name);
  const conn = messages[0]?.conn;
  // Wireshark does not join segments for a heuristic dissector, so a stream in small segments has DMSG's port. A stream
  // in one segment has another port, so that the heuristic must recognise it.
  const port = bytes < 60_000 ? 987 : 45_000;
  const tcp = new TcpFrames({ host: '2001:db8::1', port }, { host: '2001:db8::2', port: 45_001 });
  const parts = [
    sectionHeader({ application: 'test', comment: '' }),
    interfaceDescription({ name: 'test', description: '' }),
  ];
  for (const sent of [true, false]) {
    const own = messages.filter((message) => message.conn === conn && message.fromClient !== sent);
    const stream = Buffer.concat(own.map((message) => message.bytes));
    for (let at = 0; at < stream.length; at += bytes) {
      const data = stream.subarray(at, at + bytes);
      for (const frame of tcp.frames(sent, data, { length: data.length, missed: 0 })) {
        parts.push(enhancedPacket({ timeUs: at, ...frame, outbound: sent, comment }));
      }
    }
  }
  return Buffer.concat(parts);
}

const FIELDS = ['dmsg.dialect', 'dmsg.command', 'tcp.checksum.status', ...TROUBLE];

describe('The Wireshark dissector, for a stream of unknown dialect,', () => {
  it.each([
    ['v1-2-span', 'linkid'],
    ['v2-6-relay-transactions', 'circuit'],
  ])('joins the messages of %s, and recognises the dialect', async (name, dialect) => {
    const { messages } = recordingFile(name);
    const own = messages.filter(({ conn }) => conn === messages[0]?.conn);
    for (const bytes of [100, 1460, 60_000]) {
      const packets = await tshark(resegmented(name, { bytes, comment: '' }), {
        fields: FIELDS,
        preferences: ['tcp.check_checksum:TRUE', 'tcp.desegment_tcp_streams:TRUE'],
      });
      expect(packets.map(troubleOf).filter((text) => text !== '')).toEqual([]);
      // Status 1: the checksum is right.
      expect(new Set(packets.map((packet) => packet.get('tcp.checksum.status')))).toEqual(new Set(['1']));
      const got = packets
        .flatMap((packet) => (packet.get('dmsg.command') ?? '').split('|'))
        .filter((text) => text !== '');
      expect(got.sort()).toEqual(own.map(({ msg }) => (msg === 'SHELL' ? 'DBG_SHELL' : msg)).sort());
      const dialects = packets.flatMap((packet) => (packet.get('dmsg.dialect') ?? '').split('|'));
      expect(new Set(dialects.filter((text) => text !== ''))).toEqual(new Set([dialect]));
    }
  });

  it('uses the dialect of the preference', async () => {
    const preferences = ['dmsg.dialect:linkid (October 2012)'];
    const packets = await tshark(resegmented('v1-2-span', { bytes: 60_000, comment: '' }), {
      fields: FIELDS,
      preferences,
    });
    expect(packets.map((packet) => packet.get('dmsg.dialect')).join('')).toMatch(/^(linkid\|?)+$/);
  });

  it('reports the fault of a message', async () => {
    const file = recordingFile('v2-1-conn').pcapng;
    // In the first message's header.
    const at = file.indexOf(Buffer.from([0x32, 0x48]));
    file.writeUInt32LE(0x1234, at + 8);
    const packets = await tshark(file, { fields: TROUBLE });
    expect(packets[0]?.get('_ws.expert.message')).toContain("The header's CRC is wrong");
  });
});
