import { BASE_MASK, BLK_ERROR, BLK_READ, BLK_WRITE, DELETE, LNK_SPAN } from '@spanmesh/dmsg/command';
import { rulesOf } from '@spanmesh/dmsg/dialect';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import { BLK_ERROR_BYTES, decodeBlkIo } from '@spanmesh/dmsg/payload/blk';
import { carry, RecordingSide } from '@spanmesh/dmsg/recording-side.fixture';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { castParts } from './cast.ts';
import { PeerService } from './peer-service.ts';
import { ANSWER_WAIT_MS, PLACE_BYTES, PLACES, Requester } from './requester.ts';
import { seededRandom } from './seeded-random.ts';

const [part] = castParts({ peers: 1, dialect: 'circuit', spans: 3, clusters: 1, seed: 1 });

/** A requester whose peer has relays of the spans above, with the real service at their other end. */
class World {
  readonly peer = new RecordingSide({ rules: rulesOf('circuit') });
  readonly router = new RecordingSide({ rules: rulesOf('circuit') });
  readonly counts = { ok: 0, lost: 0, errors: 0 };
  readonly requester: Requester;
  readonly asked: { cmd: number; offset: number; bytes: number }[] = [];
  nowMs = 0;
  /** Replaces the service. */
  serve: ((tx: Transaction, frame: Frame) => void) | null = null;
  readonly #relays: Transaction[] = [];

  constructor({ number = 3, seed = 1, isTarget = (): boolean => true } = {}) {
    const random = seededRandom(seed);
    const now = (): number => this.nowMs;
    this.requester = new Requester({ number }, { random, now, counts: this.counts, isTarget });
    const service = new PeerService({ budget: { blocks: 10_000 }, now });
    this.router.onOpen = (tx, frame) => {
      const { offsetLo, offsetHi, bytes } = decodeBlkIo(frame);
      this.asked.push({ cmd: frame.cmd & BASE_MASK, offset: offsetHi * 2 ** 32 + offsetLo, bytes });
      if (this.serve !== null) this.serve(tx, frame);
      else service.onOpen(tx, frame, part!.spans[this.#relays.indexOf(tx.circuit!) % 3]!, { queuedBytes: 0 });
    };
    this.peer.onGone = (tx) => this.requester.onRelayGone(tx);
  }

  /** Has the router open a relay of span `n`. */
  relay(n: number): Transaction {
    while (this.#relays.length % 3 !== n)
      this.#relays.push(this.router.endpoint.open(LNK_SPAN, null, this.router.handler));
    const relay = this.router.endpoint.open(LNK_SPAN, null, this.router.handler);
    this.#relays.push(relay);
    carry(this.router, this.peer);
    this.requester.onRelay(this.peer.opened.at(-1)!, part!.spans[n]!, {
      request: (on, cmd, handler, payload, aux) =>
        on.ended || on.rxDeleted ? null : this.peer.endpoint.open(cmd, on, handler, payload, 0, aux),
    });
    return relay;
  }

  carry(): void {
    carry(this.peer, this.router);
    carry(this.router, this.peer);
  }
}

it('writes, reads back and compares; finds no error in a service that keeps its data', () => {
  const world = new World();
  for (const n of [0, 1, 2]) world.relay(n);
  for (let i = 0; i < 500; i++) {
    expect(world.requester.run()).toBe(true);
    world.carry();
  }
  expect(world.counts).toEqual({ ok: 500, lost: 0, errors: 0 });
  expect(world.requester.pending).toBe(0);
  expect(new Set(world.asked.map(({ cmd }) => cmd)).size).toBe(3);
  // A requester writes only to its own places: no two requesters share a place.
  const [from, to] = [3 * PLACES * PLACE_BYTES, 4 * PLACES * PLACE_BYTES];
  expect(world.asked.every(({ offset, bytes }) => offset >= from && offset + bytes <= to)).toBe(true);
});

it('notices wrong data, errors, and wrong answers', () => {
  const world = new World();
  world.relay(0);
  const answers = [
    // An error, an answer of another kind, and an answer to another request.
    (tx: Transaction, payload: Uint8Array) => tx.endpoint.send(tx, BLK_ERROR | DELETE, ErrorCode.IO, payload),
    (tx: Transaction) => tx.endpoint.end(tx),
    (tx: Transaction) => tx.endpoint.send(tx, BLK_ERROR | DELETE, 0, new Uint8Array(BLK_ERROR_BYTES).fill(0xee)),
  ];
  world.serve = (tx) => answers.shift()!(tx, new Uint8Array(BLK_ERROR_BYTES));
  for (let i = 0; i < 3; i++) {
    world.requester.run();
    world.carry();
  }
  expect(world.counts).toEqual({ ok: 0, lost: 0, errors: 3 });
  // This service acknowledges writes, but reads return other data.
  world.serve = (tx, frame) => {
    const payload = new Uint8Array(BLK_ERROR_BYTES);
    payload.set(frame.buf.subarray(frame.off + 64, frame.off + 72));
    const isRead = (frame.cmd & BASE_MASK) === BLK_READ;
    tx.endpoint.send(tx, BLK_ERROR | DELETE, 0, payload, isRead ? new Uint8Array(PLACE_BYTES) : null);
  };
  for (let i = 0; i < 200; i++) {
    world.requester.run();
    world.carry();
  }
  const reads = world.asked.filter(({ cmd }) => cmd === BLK_READ).length;
  expect(reads).toBeGreaterThan(0);
  expect(world.counts).toEqual({ ok: 200 - reads, lost: 0, errors: 3 + reads });
});

it('counts transactions as lost that are open when the relay goes', () => {
  const world = new World();
  const relay = world.relay(0);
  for (let i = 0; i < 5; i++) world.requester.run();
  world.router.endpoint.end(relay);
  carry(world.router, world.peer);
  world.peer.endpoint.end(world.peer.opened[0]!);
  expect(world.counts).toEqual({ ok: 0, lost: 5, errors: 0 });
  expect(world.requester.pending).toBe(0);
  expect(world.requester.run()).toBe(false);
});

it('counts transactions as lost that the router ends with LOSTLINK', () => {
  const world = new World();
  world.relay(0);
  world.serve = (tx) => tx.endpoint.end(tx, ErrorCode.LOSTLINK, true);
  world.requester.run();
  world.carry();
  expect(world.counts).toEqual({ ok: 0, lost: 1, errors: 0 });
});

it('counts a transaction without an answer as lost, once, and leaves its place alone', () => {
  const world = new World();
  world.relay(0);
  const open: Transaction[] = [];
  world.serve = (tx) => open.push(tx);
  for (let i = 0; i < PLACES; i++) expect(world.requester.run()).toBe(true);
  expect(world.requester.run()).toBe(false);
  world.carry();
  world.nowMs = ANSWER_WAIT_MS - 1;
  world.requester.expire();
  expect(world.counts.lost).toBe(0);
  world.nowMs = ANSWER_WAIT_MS;
  world.requester.expire();
  world.requester.expire();
  expect(world.requester.run()).toBe(false);
  // The late answers arrive, but the transactions are counted already.
  for (const tx of open) tx.endpoint.end(tx);
  world.carry();
  expect(world.counts).toEqual({ ok: 0, lost: PLACES, errors: 0 });
  expect(world.requester.run()).toBe(true);
});

it('writes only to its targets', () => {
  const world = new World({ isTarget: () => false });
  world.relay(0);
  expect(world.requester.run()).toBe(false);
  world.carry();
  expect(world.asked).toEqual([]);
});

it('never sees wrong data, whatever relays come and go', () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.constant('run' as const) },
    { weight: 4, arbitrary: fc.constant('carry' as const) },
    { weight: 1, arbitrary: fc.constant('open' as const) },
    { weight: 1, arbitrary: fc.constant('close' as const) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), fc.nat(1000), (steps, seed) => {
      const world = new World({ seed });
      const relays = [world.relay(0), world.relay(1)];
      let ran = 0;
      for (const what of steps) {
        if (what === 'run' && world.requester.run()) ran++;
        else if (what === 'carry') world.carry();
        else if (what === 'open') relays.push(world.relay(relays.length % 3));
        else if (what === 'close' && relays.length > 0) {
          world.carry();
          world.router.endpoint.end(relays.shift()!);
          carry(world.router, world.peer);
          for (const tx of world.peer.opened) if (tx.rxDeleted && !tx.txDeleted) world.peer.endpoint.end(tx);
        }
      }
      world.carry();
      const { ok, lost, errors } = world.counts;
      expect({ done: ok + lost, errors, pending: world.requester.pending }).toEqual({
        done: ran,
        errors: 0,
        pending: 0,
      });
    }),
  );
});

it('writes first', () => {
  const world = new World();
  world.relay(0);
  world.requester.run();
  world.carry();
  expect(world.asked.map(({ cmd }) => cmd)).toEqual([BLK_WRITE]);
});
