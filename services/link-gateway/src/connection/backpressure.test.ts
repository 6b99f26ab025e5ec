import type { Pressure } from '@spanmesh/dmsg-socket/stream/pressure';
import { beforeEach, describe, expect, it } from 'vitest';
import { HIGH_WATER_BYTES } from '../limits.ts';
import { Backpressure } from './backpressure.ts';

const SEND_LIMIT = 16 * 1024 * 1024;

describe('a connection', () => {
  const queue = { bytes: 0 };
  const metrics = { pauses: 0 };
  const owner = { principal: 'a', isOpen: true, mayWait: true, resuming: () => isRead };
  /** What `resuming` answers: false once the socket has closed. */
  let isRead: boolean;
  /** What its socket was told. */
  let told: string[];
  let backpressure: Backpressure;
  beforeEach(() => {
    queue.bytes = 0;
    metrics.pauses = 0;
    owner.isOpen = true;
    owner.mayWait = true;
    isRead = true;
    told = [];
    backpressure = make(SEND_LIMIT);
  });

  function make(sendLimit: number): Backpressure {
    const socket = { pause: () => told.push('pause'), resume: () => told.push('resume') };
    return new Backpressure({ sendLimit }, { socket: socket as never, queue, metrics, owner });
  }

  /** A destination that is high until `low` is called. */
  function destination(): Pressure & { low(): void } {
    let waiting: (() => void)[] = [];
    return {
      isHigh: true,
      onceLow: (fn) => void waiting.push(fn),
      low: () => {
        for (const fn of waiting.splice(0)) fn();
        waiting = [];
      },
    };
  }

  // Limits: link-gateway/src/limits.ts HIGH_WATER_BYTES
  it('makes others wait from its high-water mark on, or from a quarter of a small limit', () => {
    queue.bytes = HIGH_WATER_BYTES;
    expect(backpressure.isHigh).toBe(false);
    queue.bytes++;
    expect(backpressure.isHigh).toBe(true);
    const small = make(4000);
    queue.bytes = 1000;
    expect(small.isHigh).toBe(false);
    queue.bytes++;
    expect(small.isHigh).toBe(true);
    // Nobody waits for a connection that has ended.
    owner.isOpen = false;
    expect([backpressure.isHigh, small.isHigh]).toEqual([false, false]);
  });

  it('calls those who wait back once, at a quarter of the mark or when it ends', () => {
    let went = 0;
    backpressure.onceLow(() => went++);
    expect(went).toBe(1);
    queue.bytes = HIGH_WATER_BYTES + 1;
    backpressure.onceLow(() => went++);
    queue.bytes = HIGH_WATER_BYTES / 4 + 1;
    backpressure.drained();
    expect(went).toBe(1);
    queue.bytes--;
    backpressure.drained();
    backpressure.drained();
    expect(went).toBe(2);
    queue.bytes = HIGH_WATER_BYTES + 1;
    backpressure.onceLow(() => went++);
    owner.isOpen = false;
    backpressure.drained();
    expect(went).toBe(3);
  });

  it('is not read while more than half of its send limit is queued, and is read again below a quarter', () => {
    queue.bytes = SEND_LIMIT / 2;
    backpressure.queued();
    expect(told).toEqual([]);
    queue.bytes++;
    backpressure.queued();
    backpressure.queued();
    expect([told, backpressure.isPaused, backpressure.pauses]).toEqual([['pause'], true, 1]);
    queue.bytes = SEND_LIMIT / 4;
    backpressure.drained();
    expect(told).toEqual(['pause']);
    queue.bytes--;
    backpressure.drained();
    expect([told, backpressure.isPaused]).toEqual([['pause', 'resume'], false]);
  });

  it('is not read while any of its destinations is high', () => {
    const [one, other] = [destination(), destination()];
    backpressure.pauseFor(one);
    backpressure.pauseFor(one);
    backpressure.pauseFor(other);
    expect([told, metrics.pauses]).toEqual([['pause'], 2]);
    one.low();
    expect(told).toEqual(['pause']);
    other.low();
    expect(told).toEqual(['pause', 'resume']);
  });

  it('does not wait if its owner forbids it, and stops waiting when told to', () => {
    owner.mayWait = false;
    backpressure.pauseFor(destination());
    expect([told, backpressure.isPaused]).toEqual([[], false]);
    owner.mayWait = true;
    backpressure.pauseFor(destination());
    backpressure.waitForNobody();
    expect([told, backpressure.isPaused]).toEqual([['pause', 'resume'], false]);
  });

  it('whose socket has closed is not read again', () => {
    backpressure.pauseFor(destination());
    isRead = false;
    backpressure.waitForNobody();
    expect(told).toEqual(['pause']);
  });

  it('that is read already is not told to read again', () => {
    let resumed = 0;
    owner.resuming = () => {
      resumed++;
      return isRead;
    };
    backpressure.drained();
    expect([told, resumed]).toEqual([[], 0]);
    // It is full, and waits for a destination, too: both must be over.
    queue.bytes = SEND_LIMIT;
    backpressure.queued();
    const high = destination();
    backpressure.pauseFor(high);
    queue.bytes = 0;
    backpressure.drained();
    expect([told, resumed]).toEqual([['pause'], 0]);
    high.low();
    expect([told, resumed, backpressure.pauses]).toEqual([['pause', 'resume'], 1, 2]);
  });

  it('calls back once when bytes have drained', () => {
    let drained = 0;
    backpressure.onceDrained(() => drained++);
    backpressure.drained();
    backpressure.drained();
    expect(drained).toBe(1);
  });
});
