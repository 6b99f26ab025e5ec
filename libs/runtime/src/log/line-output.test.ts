import { beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import { LineOutput } from './line-output.ts';

/** A destination that takes a given number of bytes, and then fails. */
class Destination {
  text = '';
  room = Number.POSITIVE_INFINITY;
  code = 'ENOSPC';
  tries = 0;

  readonly write = (bytes: Uint8Array): number => {
    this.tries++;
    if (this.room === 0) throw Object.assign(new Error(this.code), { code: this.code });
    const taken = Math.min(bytes.length, this.room);
    this.text += Buffer.from(bytes.subarray(0, taken)).toString();
    this.room -= taken;
    return taken;
  };
}

let to: Destination;
let clock: FakeClock;
let output: LineOutput;
beforeEach(() => {
  to = new Destination();
  clock = new FakeClock();
  output = new LineOutput({ write: to.write, clock });
});

describe('lines', () => {
  it('are written at once', () => {
    output.write('a\n');
    output.write('b\n');
    expect(to.text).toBe('a\nb\n');
    expect(clock.pending).toBe(0);
  });

  it('that cannot be written are lost and counted; one line reports them when there is room again', () => {
    output.write('before\n');
    to.room = 0;
    for (let i = 0; i < 5; i++) output.write('lost\n');
    expect(output.lost).toBe(5);
    clock.advance(60_000);
    to.room = Number.POSITIVE_INFINITY;
    clock.advance(1000);
    output.write('after\n');
    expect(to.text).toBe('before\n5 lines were lost: ENOSPC\nafter\n');
    expect([output.lost, clock.pending]).toEqual([5, 0]);
  });

  it('are not tried one by one while the destination fails', () => {
    to.room = 0;
    for (let i = 0; i < 1000; i++) output.write('lost\n');
    expect(to.tries).toBe(1);
  });

  it('that were cut off do not swallow the next one', () => {
    to.room = 3;
    output.write('broken\n');
    expect(to.text).toBe('bro');
    to.room = Number.POSITIVE_INFINITY;
    clock.advance(1000);
    output.write('whole\n');
    expect(to.text).toBe('bro\n1 lines were lost: ENOSPC\nwhole\n');
  });

  it('wait for a slow reader, in order and complete', () => {
    to.code = 'EAGAIN';
    to.room = 3;
    output.write('first\n');
    output.write('second\n');
    expect(to.text).toBe('fir');
    to.room = 5;
    clock.advance(50);
    expect(to.text).toBe('first\nse');
    to.room = Number.POSITIVE_INFINITY;
    clock.advance(50);
    expect(to.text).toBe('first\nsecond\n');
    expect([output.lost, clock.pending]).toEqual([0, 0]);
  });

  // Limits: log/line-output.ts MAX_WAITING_BYTES
  it('that wait are limited: later ones are lost, and reported without a further line', () => {
    to.code = 'EAGAIN';
    to.room = 0;
    const line = `${'x'.repeat(1023)}\n`;
    for (let i = 0; i < 2000; i++) output.write(line);
    expect(output.lost).toBe(2000 - 1024);
    to.room = Number.POSITIVE_INFINITY;
    clock.advance(50);
    expect(to.text).toBe(`${line.repeat(1024)}${2000 - 1024} lines were lost: EAGAIN\n`);
  });

  it('that wait are lost with their reader, and counted once', () => {
    to.code = 'EAGAIN';
    to.room = 0;
    for (let i = 0; i < 3; i++) output.write('waits\n');
    to.code = 'EPIPE';
    clock.advance(50);
    expect(output.lost).toBe(3);
    // Only the line that reports the loss is tried, and that is no caller's line.
    clock.advance(10_000);
    expect(output.lost).toBe(3);
  });

  it('are tried once more at the end, without waiting', () => {
    to.code = 'EAGAIN';
    to.room = 0;
    output.write('last\n');
    output.flush();
    expect(to.text).toBe('');
    to.room = Number.POSITIVE_INFINITY;
    output.flush();
    expect(to.text).toBe('last\n');
  });
});
