import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { describe, expect, it } from 'vitest';
import { type Destination, Flow, type Reader } from './flow.ts';
import { TurnBuffer } from './turn-buffer.ts';

/** A connection's queue that records as text what each write contained. */
class Place implements Destination {
  readonly writes: string[] = [];
  isHigh = false;
  /** Whether the queue is still high after a flush. */
  staysHigh = false;
  readonly out: TurnBuffer;

  constructor(flow: Flow) {
    this.out = new TurnBuffer(() => {}, { flow, destination: this });
  }

  flush(): void {
    this.isHigh = this.staysHigh;
    if (this.out.bytes === 0) return;
    const slices = this.out.take();
    this.writes.push(slices.map((slice) => Buffer.from(slice).toString('latin1')).join(''));
  }

  onceLow(): void {}
}

class Source implements Reader {
  readonly pausedFor: unknown[] = [];

  pauseFor(destination: unknown): void {
    this.pausedFor.push(destination);
  }
}

const endOfTurn = () => new Promise<void>((resolve) => setImmediate(resolve));
/** Every read is into the same memory. */
const memory = Buffer.alloc(64 * 1024);

/** A read from `from` that brings `message` and passes it on to each of the places. */
function read(flow: Flow, from: Source, message: string, ...to: Place[]): void {
  flow.begin(from);
  memory.fill(0);
  memory.write(message, 'latin1');
  for (const { out } of to) out.pass(memory, 0, message.length);
  flow.end(from);
}

/** A turn of the event loop with this many reads, none of which passes anything on. */
async function turnOf(flow: Flow, reads: number): Promise<void> {
  for (let n = 0; n < reads; n++) read(flow, new Source(), '');
  await endOfTurn();
}

/** A Flow whose last turn was crowded. */
async function crowded(): Promise<Flow> {
  const flow = new Flow();
  await turnOf(flow, 80);
  return flow;
}

describe('what a read passes on', () => {
  it('is written at the end of the read while few connections are read in a turn', async () => {
    const flow = new Flow();
    const place = new Place(flow);
    for (let turn = 0; turn < 200; turn++) {
      read(flow, new Source(), 'm', place);
      expect(place.writes.length).toBe(turn + 1);
      if (turn % 2 === 0) await endOfTurn();
    }
  });

  it('is written in two goes in a crowded turn: the first message at once, the rest at the end of the turn, in order', async () => {
    const flow = await crowded();
    const node = new Place(flow);
    const leafs = Array.from({ length: 20 }, () => new Place(flow));
    for (const [n, leaf] of leafs.entries()) read(flow, new Source(), `<${n}>`, node, leaf);
    expect(node.writes).toEqual(['<0>']);
    // A place that gets only one message gets it without a copy.
    expect(leafs.map(({ writes }) => writes)).toEqual(leafs.map((_, n) => [`<${n}>`]));
    await endOfTurn();
    const rest = leafs.map((_, n) => `<${n}>`).slice(1);
    expect(node.writes).toEqual(['<0>', rest.join('')]);
    await turnOf(flow, 20);
    expect(node.writes.length).toBe(2);
  });

  it('is written before the next read if it is too long to copy, together with the copies that wait', async () => {
    const flow = await crowded();
    const place = new Place(flow);
    const [long, longest] = ['x'.repeat(4096 + 256), 'y'.repeat(4096 + 257)];
    read(flow, new Source(), 'first', place);
    read(flow, new Source(), long, place);
    expect(place.writes).toEqual(['first']);
    read(flow, new Source(), longest, place);
    expect(place.writes).toEqual(['first', long + longest]);
    read(flow, new Source(), 'last', place);
    await endOfTurn();
    expect(place.writes).toEqual(['first', long + longest, 'last']);
  });

  it('is written at the end of the read again after a turn with few reads', async () => {
    const flow = await crowded();
    await turnOf(flow, 7);
    const place = new Place(flow);
    for (let n = 0; n < 3; n++) read(flow, new Source(), 'm', place);
    expect(place.writes).toEqual(['m', 'm', 'm']);
  });

  it('is written at the end of the read however often one connection is read in a turn', async () => {
    const flow = new Flow();
    const [busy, other] = [new Source(), new Source()];
    for (let n = 0; n < 200; n++) read(flow, n < 100 ? busy : other, '');
    await endOfTurn();
    const place = new Place(flow);
    for (let n = 0; n < 3; n++) read(flow, busy, 'm', place);
    expect(place.writes).toEqual(['m', 'm', 'm']);
  });

  it('still waits for the end of turns that have just enough reads', async () => {
    const flow = await crowded();
    await turnOf(flow, 8);
    const place = new Place(flow);
    for (let n = 0; n < 3; n++) read(flow, new Source(), 'm', place);
    expect(place.writes).toEqual(['m']);
    await endOfTurn();
    expect(place.writes).toEqual(['m', 'mm']);
  });

  it.each([false, true])('pauses the reader for a place that stays high; in a crowded turn: %s', async (isCrowded) => {
    const flow = isCrowded ? await crowded() : new Flow();
    const [place, source] = [new Place(flow), new Source()];
    read(flow, source, 'a', place);
    place.isHigh = true;
    read(flow, source, 'b', place);
    expect(place.writes).toEqual(['a', 'b']);
    expect(source.pausedFor).toEqual([]);
    place.isHigh = true;
    place.staysHigh = true;
    read(flow, source, 'c', place);
    expect(place.writes).toEqual(['a', 'b', 'c']);
    expect(source.pausedFor).toEqual([place]);
  });

  it('pauses the reader for a place outside of connections', () => {
    const [flow, source] = [new Flow(), new Source()];
    const pressure = { isHigh: true, onceLow() {} };
    flow.begin(source);
    flow.sentInto(pressure);
    flow.sentInto(pressure);
    flow.end(source);
    expect(source.pausedFor).toEqual([pressure]);
    read(flow, source, '');
    expect(source.pausedFor).toEqual([pressure]);
  });
});

describe('a turn of the event loop', () => {
  function timed() {
    const clock = new FakeClock();
    let said = 0;
    const flow: Flow = new Flow({
      clock,
      longTurn: () => {
        expect(flow.read).toBe(0);
        said++;
      },
    });
    /** So many reads of many connections this much later; how often the turn was called long meanwhile. */
    const after = (ms: number, reads: number): number => {
      clock.advance(ms);
      const before = said;
      for (let n = 0; n < reads; n++) read(flow, new Source(), '');
      return said - before;
    };
    return { after };
  }

  it('is called long each 100 ms that it reads', async () => {
    const { after } = timed();
    expect([after(0, 64), after(99, 64), after(1, 64), after(99, 64), after(1, 64)]).toEqual([0, 0, 1, 0, 1]);
    expect([after(1000, 63), after(0, 1), after(0, 1000)]).toEqual([0, 1, 0]);
  });

  it('is not, however long others have been, or nothing was read', async () => {
    const { after } = timed();
    after(0, 64);
    await endOfTurn();
    expect([after(100, 64), after(100, 64)]).toEqual([0, 1]);
    await endOfTurn();
    expect([after(1000, 64), after(0, 640)]).toEqual([0, 0]);
  });
});
