import { CIRCUIT } from '@spanmesh/dmsg/dialect';
import { encodeMessage } from '@spanmesh/dmsg/message';
import type { CaptureMessagesResponse } from '@spanmesh/proto/v1/capture';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { beforeEach, describe, expect, it } from 'vitest';
import { CAPTURE_BYTES, CAPTURE_LINGER_MS, MAX_CAPTURE_MS } from '../limits.ts';
import { Capture, type Tapped } from './capture.ts';

const PING = encodeMessage({ rules: CIRCUIT, cmd: 0x00000101, salt: 0 });
/** What a message counts for besides its own bytes. */
const COST = 128;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('a capture, as its caller sees it', () => {
  let clock: FakeClock;
  let connection: Tapped;
  let parts: CaptureMessagesResponse[];
  let written: (() => void)[];
  let ends: number;
  let destroyed: string[];
  let over: number;
  let capture: Capture;

  beforeEach(() => {
    clock = new FakeClock();
    begin({});
  });

  function begin(request: { count?: number; durationMs?: number; snaplen?: number }): void {
    connection = { dialect: 'circuit', tap: null };
    parts = [];
    written = [];
    ends = 0;
    destroyed = [];
    over = 0;
    const stream = {
      write: (part: CaptureMessagesResponse, done: () => void) => {
        parts.push(part);
        written.push(done);
        return true;
      },
      end: () => void ends++,
      destroy: ({ message }: Error) => void destroyed.push(message),
    };
    const whole = { count: 0, durationMs: 0, snaplen: 0, ...request };
    capture = new Capture(connection, whole, { clock, stream, over: () => over++ });
  }

  const messages = () => parts.flatMap((part) => part.messages);

  it('begins with an empty part, and has one part a turn', async () => {
    expect([parts, connection.tap]).toEqual([[{ messages: [], dropped: 0, ended: '' }], capture]);
    capture.read(PING, 0);
    clock.advance(1.5);
    capture.wrote([PING, PING]);
    expect(parts).toHaveLength(1);
    await turn();
    expect(parts).toHaveLength(2);
    const timeUs = 1_600_000_000_000_000;
    const common = { data: Buffer.from(PING), length: 64, missedBytes: 0 };
    expect(messages()).toEqual([
      { ...common, sent: false, timeUs },
      { ...common, sent: true, timeUs: timeUs + 1500 },
      { ...common, sent: true, timeUs: timeUs + 1500 },
    ]);
    expect([capture.messages, capture.dropped, over]).toEqual([3, 0, 0]);
  });

  it('begins with a whole message of the peer: what was being read before is passed over', () => {
    capture.read(PING, 1);
    capture.end('enough');
    expect(messages()).toEqual([]);
    begin({});
    capture.read(PING, 0);
    capture.read(PING, 1);
    capture.end('enough');
    expect(messages()).toHaveLength(2);
  });

  it('ends in order: with what has come of a message, a last part that says why, and time to read it', () => {
    capture.read(PING.subarray(0, 40), 0);
    capture.wrote([PING.subarray(0, 20)]);
    capture.end('enough');
    capture.end('more than enough');
    expect(messages().map(({ sent, length }) => [sent, length])).toEqual([
      [false, 40],
      [true, 20],
    ]);
    expect(parts.at(-1)).toEqual({ messages: [], dropped: 0, ended: 'enough' });
    expect([ends, over, connection.tap, clock.pending]).toEqual([1, 1, null, 1]);
    // Nothing is captured any more.
    capture.read(PING, 0);
    expect(capture.messages).toBe(2);
    clock.advance(CAPTURE_LINGER_MS - 1);
    expect(destroyed).toEqual([]);
    clock.advance(1);
    expect(destroyed).toEqual(['not read in time']);
  });

  it('is over as soon as its last part has left', () => {
    capture.end('enough');
    for (const done of written) done();
    expect(clock.pending).toBe(0);
  });

  it('ends without a last part when its caller has gone, before or after its end', () => {
    capture.cancel();
    capture.cancel();
    expect([ends, over, connection.tap, clock.pending, parts.length]).toEqual([0, 1, null, 0, 1]);
    begin({});
    capture.end('enough');
    capture.cancel();
    expect([ends, over, clock.pending]).toEqual([1, 1, 0]);
  });

  it('leaves the tap of another capture alone', () => {
    const other = { read() {}, wrote() {} };
    connection.tap = other;
    capture.cancel();
    expect(connection.tap).toBe(other);
  });

  it.each([
    [0, MAX_CAPTURE_MS],
    [5000, 5000],
    [MAX_CAPTURE_MS + 1, MAX_CAPTURE_MS],
  ])('lasts as long as was asked for, an hour at most (%i ms)', (durationMs, lasts) => {
    capture.cancel();
    begin({ durationMs });
    clock.advance(lasts - 1);
    expect(over).toBe(0);
    clock.advance(1);
    expect([over, parts.at(-1)?.ended]).toEqual([1, 'its time is over']);
  });

  it('has no more messages than were asked for, and ends with the turn of the last', async () => {
    capture.cancel();
    begin({ count: 2, snaplen: 10 });
    capture.read(PING, 0);
    await turn();
    expect([over, parts.length]).toEqual([0, 2]);
    capture.wrote([PING, PING, PING]);
    expect(capture.messages).toBe(2);
    await turn();
    expect(messages().map(({ data, length }) => [data.length, length])).toEqual([
      [10, 64],
      [10, 64],
    ]);
    expect([over, ends, capture.dropped]).toEqual([1, 1, 0]);
    expect(parts.at(-1)?.ended).toBe('as many messages as were asked for have been captured');
  });

  it('drops what finds no room, counts it, and says before the next message of that direction how much it was', async () => {
    const aux = Buffer.alloc(1024 * 1024 - COST - 64);
    const large = encodeMessage({ rules: CIRCUIT, cmd: 0x00000101, aux, salt: 0 });
    const room = CAPTURE_BYTES / (large.length + COST);
    expect(room).toBe(4);
    for (let n = 0; n < room; n++) capture.read(large, 0);
    expect(capture.dropped).toBe(0);
    capture.read(PING, 0);
    capture.read(PING, 0);
    expect([capture.messages, capture.dropped]).toEqual([4, 2]);
    await turn();
    expect(parts.at(-1)?.dropped).toBe(2);
    // Still no room: gRPC has not written the part.
    capture.read(PING, 0);
    expect(capture.dropped).toBe(3);
    for (const done of written) done();
    capture.wrote([PING]);
    for (let n = 0; n < 3; n++) capture.read(large, 0);
    capture.end('enough');
    expect(messages().map(({ missedBytes }) => missedBytes)).toEqual([...Array(4).fill(0), 0, 3 * 64, 0, 0]);
    expect(parts.at(-1)).toEqual({ messages: [], dropped: 3, ended: 'enough' });
  });
});
