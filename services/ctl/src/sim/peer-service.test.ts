import {
  BASE_MASK,
  BLK_CLOSE,
  BLK_ERROR,
  BLK_FLUSH,
  BLK_FREEBLKS,
  BLK_OPEN,
  BLK_READ,
  BLK_WRITE,
  DBG_SHELL,
  DELETE,
  LNK_AUTH,
  LNK_ERROR,
} from '@spanmesh/dmsg/command';
import { type Dialect, rulesOf } from '@spanmesh/dmsg/dialect';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import { keepFrame } from '@spanmesh/dmsg/kept-frame';
import { BLK_IO_BYTES, BLK_OPEN_BYTES, decodeBlkError, encodeBlkIo, encodeBlkOpen } from '@spanmesh/dmsg/payload/blk';
import { decodeShellText, shellAux } from '@spanmesh/dmsg/payload/dbg-shell';
import { carry, RecordingSide } from '@spanmesh/dmsg/recording-side.fixture';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_QUEUED_BYTES } from './block-service.ts';
import { castParts, MEDIA_BYTES } from './cast.ts';
import { blockBudget, MAX_BLOCKS, PeerService } from './peer-service.ts';
import { MAX_WORD } from './shell-service.ts';

const GIB_64 = Number(MEDIA_BYTES);

/**
 * Two ends: a client, and a server whose service takes all transactions that are opened (circuit: except the span on
 * which they run).
 */
class Pair {
  readonly client: RecordingSide;
  readonly server: RecordingSide;
  readonly budget = { blocks: 1000 };
  readonly #link = { queuedBytes: 0 };
  nowMs = 0;
  taken: boolean[] = [];
  readonly #span: Transaction | null;

  constructor(dialect: Dialect) {
    const rules = rulesOf(dialect);
    this.client = new RecordingSide({ rules });
    this.server = new RecordingSide({ rules });
    const service = new PeerService({ budget: this.budget, now: () => this.nowMs });
    const span = castParts({ peers: 1, dialect, spans: 1, clusters: 1, seed: 1 })[0]!.spans[0]!;
    this.server.onOpen = (tx, frame) => this.taken.push(service.onOpen(tx, frame, span, this.#link));
    // The span belongs to the server, which opens it; the client sends requests on it.
    if (rules.stacked) this.server.endpoint.open(0x1207, null, this.server.handler);
    carry(this.server, this.client);
    this.#span = this.client.opened[0] ?? null;
  }

  set queuedBytes(bytes: number) {
    this.#link.queuedBytes = bytes;
  }

  open(cmd: number, payload: Uint8Array | null = null, aux: Uint8Array | null = null, on = this.#span): Transaction {
    return this.client.endpoint.open(cmd >>> 0, on, this.client.handler, payload, 0, aux);
  }

  /** Delivers everything; returns the server's answers. */
  answers(): Frame[] {
    const frames: Frame[] = [];
    this.client.onMessage = (_tx, frame) => frames.push(keepFrame(frame));
    carry(this.client, this.server);
    carry(this.server, this.client);
    return frames;
  }
}

function io(offset: number, bytes: number): Uint8Array {
  const payload = new Uint8Array(BLK_IO_BYTES);
  encodeBlkIo(
    {
      keyidLo: 7,
      keyidHi: 9,
      offsetLo: offset % 2 ** 32,
      offsetHi: Math.floor(offset / 2 ** 32),
      bytes,
      flags: 0,
    },
    payload,
    0,
  );
  return payload;
}

function modes(value: number): Uint8Array {
  const payload = new Uint8Array(BLK_OPEN_BYTES);
  encodeBlkOpen({ modes: value }, payload, 0);
  return payload;
}

const auxOf = (frame: Frame): Uint8Array => {
  const start = frame.off + frame.headBytes;
  return Uint8Array.from(frame.buf.subarray(start, start + frame.auxBytes));
};
const isLast = (frame: Frame): boolean => (frame.cmd & DELETE) !== 0;

describe.each(['circuit', 'linkid'] as const)('PeerService, %s', (dialect) => {
  const { auxLimit, stacked } = rulesOf(dialect);

  it('reads what was written, each request a transaction', () => {
    const pair = new Pair(dialect);
    const data = Uint8Array.from({ length: 1024 }, (_, i) => i);
    pair.open(BLK_WRITE | DELETE, io(2 ** 33, 1024), data);
    pair.open(BLK_FLUSH | DELETE, io(0, 0));
    pair.open(BLK_READ | DELETE, io(2 ** 33 + 512, 1024));
    const [written, flushed, read] = pair.answers();
    for (const frame of [written, flushed, read]) {
      expect(frame!.cmd & (BASE_MASK | DELETE)).toBe(BLK_ERROR | DELETE);
      expect(frame!.error).toBe(0);
      expect(decodeBlkError(frame!)).toMatchObject({ keyidLo: 7, keyidHi: 9, resid: 0 });
    }
    expect(auxOf(read!)).toEqual(Uint8Array.from([...data.subarray(512), ...new Uint8Array(512)]));
    expect(pair.server.endpoint.openCount).toBe(stacked ? 1 : 0);
  });

  it('answers each of several messages in one transaction, and ends when the client does', () => {
    const pair = new Pair(dialect);
    const tx = pair.open(BLK_OPEN, modes(3));
    pair.client.endpoint.send(tx, BLK_WRITE, 0, io(0, 512), new Uint8Array(512).fill(5));
    pair.client.endpoint.send(tx, BLK_READ, 0, io(0, 512));
    pair.client.endpoint.send(tx, BLK_FREEBLKS, 0, io(0, 512));
    pair.client.endpoint.send(tx, BLK_READ, 0, io(0, 512));
    pair.client.endpoint.send(tx, BLK_CLOSE | DELETE, 0, modes(3));
    const frames = pair.answers();
    expect(frames.map((frame) => [frame.error, frame.auxBytes, isLast(frame)])).toEqual([
      [0, 0, false],
      [0, 0, false],
      [0, 512, false],
      [0, 0, false],
      [0, 512, false],
      [0, 0, true],
    ]);
    expect(auxOf(frames[2]!)[0]).toBe(5);
    expect(auxOf(frames[4]!)[0]).toBe(0);
    expect(pair.budget.blocks).toBe(1000);
  });

  it('answers a bare DELETE with a bare DELETE', () => {
    const pair = new Pair(dialect);
    const tx = pair.open(BLK_OPEN, modes(1));
    pair.client.endpoint.end(tx);
    expect(pair.answers().map((frame) => [frame.cmd & BASE_MASK, isLast(frame)])).toEqual([
      [BLK_ERROR, false],
      [LNK_ERROR, true],
    ]);
  });

  it('keeps to the modes of BLK_OPEN, until that is closed', () => {
    const pair = new Pair(dialect);
    const tx = pair.open(BLK_OPEN, modes(1));
    const block = new Uint8Array(512);
    pair.client.endpoint.send(tx, BLK_WRITE, 0, io(0, 512), block);
    pair.client.endpoint.send(tx, BLK_FREEBLKS, 0, io(0, 512));
    pair.client.endpoint.send(tx, BLK_READ, 0, io(0, 512));
    pair.client.endpoint.send(tx, BLK_CLOSE, 0, modes(1));
    pair.client.endpoint.send(tx, BLK_READ, 0, io(0, 512));
    pair.client.endpoint.send(tx, BLK_OPEN, 0, modes(4));
    const { PARAM } = ErrorCode;
    expect(pair.answers().map((frame) => frame.error)).toEqual([0, PARAM, PARAM, 0, 0, PARAM, PARAM]);
  });

  it.each([
    ['past the end', BLK_READ, GIB_64, 512],
    ['past the end, partly', BLK_WRITE, GIB_64 - 512, 1024],
    ['far past the end', BLK_FREEBLKS, 2 ** 63, 512],
    ['between blocks', BLK_READ, 100, 512],
    ['part of a block', BLK_WRITE, 0, 100],
    ['more than a message holds', BLK_READ, 0, auxLimit + 512],
    ['with less data than bytes', BLK_WRITE, 0, 2048],
  ])('refuses a range %s', (_what, cmd, offset, bytes) => {
    const pair = new Pair(dialect);
    pair.open(cmd | DELETE, io(offset, bytes), cmd === BLK_WRITE ? new Uint8Array(1024) : null);
    const [frame] = pair.answers();
    expect(frame).toMatchObject({ error: ErrorCode.PARAM, auxBytes: 0 });
    expect(decodeBlkError(frame!).resid).toBe(bytes);
    expect(decodeBlkError(frame!).text).not.toBe('');
    expect(isLast(frame!)).toBe(true);
    expect(pair.budget.blocks).toBe(1000);
  });

  it('reads as many bytes as a message holds', () => {
    const pair = new Pair(dialect);
    pair.open(BLK_READ | DELETE, io(GIB_64 - auxLimit, auxLimit));
    expect(pair.answers()[0]).toMatchObject({ error: 0, auxBytes: auxLimit });
  });

  // Limits: sim/peer-service.ts MAX_BLOCKS
  it('holds no more blocks than the budget', () => {
    const pair = new Pair(dialect);
    // Other peers hold all blocks of the budget except these.
    pair.budget.blocks = blockBudget().blocks - (MAX_BLOCKS - 1);
    pair.open(BLK_WRITE | DELETE, io(0, 1024), new Uint8Array(1024));
    pair.open(BLK_WRITE | DELETE, io(0, 512), new Uint8Array(512));
    pair.open(BLK_WRITE | DELETE, io(512, 512), new Uint8Array(512));
    expect(pair.answers().map((frame) => frame.error)).toEqual([ErrorCode.IO, 0, ErrorCode.IO]);
    expect(pair.budget.blocks).toBe(0);
  });

  // Limits: sim/block-service.ts MAX_QUEUED_BYTES
  it('refuses reads while too many answers wait', () => {
    const pair = new Pair(dialect);
    pair.queuedBytes = MAX_QUEUED_BYTES;
    pair.open(BLK_READ | DELETE, io(0, 512));
    expect(pair.answers()[0]).toMatchObject({ error: 0, auxBytes: 512 });
    pair.queuedBytes = MAX_QUEUED_BYTES + 1;
    pair.open(BLK_READ | DELETE, io(0, 512));
    expect(pair.answers()[0]).toMatchObject({ error: ErrorCode.IO, auxBytes: 0 });
  });

  it('serves no other commands', () => {
    const pair = new Pair(dialect);
    pair.open(LNK_AUTH | DELETE);
    pair.answers();
    expect(pair.taken).toEqual([false]);
  });

  describe('shell', () => {
    function run(text: string, pair = new Pair(dialect)): string[] {
      pair.open(DBG_SHELL | DELETE, null, shellAux(text));
      const frames = pair.answers();
      const end = frames.pop()!;
      expect(isLast(end)).toBe(true);
      expect(end.error).toBe(0);
      // protocol.md, "Message": how output ends in each dialect.
      expect(end.cmd & BASE_MASK).toBe(stacked ? DBG_SHELL : LNK_ERROR);
      if (stacked) expect(decodeShellText(end)).toBe('debug> ');
      for (const frame of frames) expect(frame.cmd & (BASE_MASK | DELETE)).toBe(DBG_SHELL);
      expect(pair.server.endpoint.openCount).toBe(stacked ? 1 : 0);
      return frames.map(decodeShellText);
    }

    it('answers with one message for each line', () => {
      expect(run('help')).toHaveLength(3);
      expect(run('')).toEqual([]);
      expect(run(' \t ')).toEqual([]);
      expect(run('  dance now')).toEqual(['Unrecognized command: dance\n']);
    });

    // Limits: sim/shell-service.ts MAX_WORD
    it('repeats no more than the beginning of a long word', () => {
      const word = 'x'.repeat(MAX_WORD);
      for (const typed of [word, `${word}y`, `${word}${'y'.repeat(5000)}`]) {
        expect(run(typed)).toEqual([`Unrecognized command: ${word}\n`]);
      }
    });

    it('knows how long it has been running', () => {
      const pair = new Pair(dialect);
      pair.nowMs = 12_345;
      expect(run('uptime', pair)).toEqual(['up 12 s\n']);
    });

    it('knows its name', () => {
      expect(run('whoami')[0]).toMatch(/^[0-9a-f-]{36} peer01\.1\n$/);
    });
  });

  it('is the same medium for all requests, in whatever transactions', () => {
    const BLOCKS = 6;
    const step = fc.record({
      cmd: fc.constantFrom(BLK_READ, BLK_WRITE, BLK_FREEBLKS),
      first: fc.nat(BLOCKS - 1),
      blocks: fc.integer({ min: 1, max: BLOCKS }),
      byte: fc.integer({ min: 1, max: 255 }),
      inOne: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const pair = new Pair(dialect);
        const model = new Uint8Array(BLOCKS * 512);
        const open = pair.open(BLK_OPEN, modes(3));
        pair.answers();
        // The last blocks of the medium, so that some ranges reach past its end.
        const base = GIB_64 - model.length;
        for (const { cmd, first, blocks, byte, inOne } of steps) {
          const bytes = blocks * 512;
          const aux = cmd === BLK_WRITE ? new Uint8Array(bytes).fill(byte) : null;
          if (inOne) pair.client.endpoint.send(open, cmd, 0, io(base + first * 512, bytes), aux);
          else pair.open(cmd | DELETE, io(base + first * 512, bytes), aux);
          const [frame] = pair.answers();
          const fits = first + blocks <= BLOCKS;
          expect(frame!.error).toBe(fits ? 0 : ErrorCode.PARAM);
          if (!fits) continue;
          const range = [first * 512, first * 512 + bytes] as const;
          if (cmd === BLK_READ) expect(auxOf(frame!)).toEqual(model.slice(...range));
          else model.fill(cmd === BLK_WRITE ? byte : 0, ...range);
        }
      }),
      { numRuns: 50 },
    );
  });
});

it('gives transactions stacked on BLK_OPEN its modes', () => {
  const pair = new Pair('circuit');
  const tx = pair.open(BLK_OPEN, modes(1));
  pair.open(BLK_READ | DELETE, io(0, 512), null, tx);
  pair.open(BLK_WRITE | DELETE, io(0, 512), new Uint8Array(512), tx);
  expect(pair.answers().map((frame) => frame.error)).toEqual([0, 0, ErrorCode.PARAM]);
});
