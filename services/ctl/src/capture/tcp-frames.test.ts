import { expect, it } from 'vitest';
import { MAX_SEGMENT_BYTES, TcpFrames } from './tcp-frames.ts';

const HEADERS = 40;

// Limits: capture/tcp-frames.ts MAX_SEGMENT_BYTES
it.each([
  [MAX_SEGMENT_BYTES, [MAX_SEGMENT_BYTES]],
  [MAX_SEGMENT_BYTES + 1, [MAX_SEGMENT_BYTES, 1]],
])('a message of %i bytes is packets of %j bytes, one after the other', (length, sizes) => {
  const frames = new TcpFrames({ host: '10.0.0.1', port: 987 }, { host: '10.0.0.2', port: 40_000 });
  const data = Buffer.alloc(length, 7);
  const packets = frames.frames(true, data, { length, missed: 0 });
  expect(packets.map((packet) => packet.length - HEADERS)).toEqual(sizes);
  // Sequence numbers, which follow the IP header and both ports.
  expect(packets.map((packet) => packet.data.readUInt32BE(24))).toEqual(sizes.map((_, n) => 1 + n * MAX_SEGMENT_BYTES));
  expect(Buffer.concat(packets.map((packet) => packet.data.subarray(HEADERS))).equals(data)).toBe(true);
});
