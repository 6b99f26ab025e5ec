import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EVERYTHING, overlap } from './block-range.ts';
import { MAX_SHARED_READS, MAX_WRITE_RANGES } from './limits.ts';
import { NodeBlocks, type NodeRead } from './node-blocks.ts';

const rangeAt = (offsetLo: number, bytes = 1) => ({ offsetLo, offsetHi: 0, bytes });
const readAt = (at: number): NodeRead => ({ key: String(at), range: rangeAt(at) });

describe('a read may wait for one', () => {
  it('that was sent before, unless an overlapping write has been under way since then', () => {
    const step = fc.record({
      what: fc.constantFrom('read', 'read', 'write', 'over', 'seal'),
      at: fc.nat(3),
      bytes: fc.integer({ min: 1, max: 3 }),
      pick: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const blocks = new NodeBlocks();
        let now = 0;
        const reads: { read: NodeRead; sent: number; sealed: boolean }[] = [];
        const writes: { by: object; range: ReturnType<typeof rangeAt>; sent: number; over: number }[] = [];
        for (const { what, at, bytes, pick } of steps) {
          now++;
          const under = writes.filter(({ over }) => over === 0);
          if (what === 'write') {
            const write = { by: {}, range: rangeAt(at, bytes), sent: now, over: 0 };
            writes.push(write);
            blocks.writeSent(write.by, write.range);
          } else if (what === 'over' && under.length > 0) {
            const write = under[pick % under.length]!;
            write.over = now;
            blocks.writeOver(write.by);
          } else if (what === 'seal' && reads.length > 0) {
            const sealed = reads[pick % reads.length]!;
            sealed.sealed = true;
            blocks.seal(sealed.read);
          } else if (what === 'read') {
            const found = blocks.find(String(at));
            if (found === null) {
              const read = readAt(at);
              const shared = blocks.readSent(read);
              const written = under.some(({ range }) => overlap(range, read.range));
              expect(shared).toBe(!written);
              if (shared) reads.push({ read, sent: now, sealed: false });
              continue;
            }
            const known = reads.find(({ read }) => read === found)!;
            expect(known.sealed).toBe(false);
            const beside = writes.filter(({ over }) => over === 0 || over > known.sent);
            expect(beside.filter(({ range }) => overlap(range, found.range))).toEqual([]);
          }
        }
        for (const { by } of writes) blocks.writeOver(by);
        expect(blocks.writes).toBe(0);
      }),
    );
  });
});

// Limits: link-gateway/src/routing/reads/limits.ts MAX_SHARED_READS
it('reads may wait for a bounded number of others, and not for one more', () => {
  const blocks = new NodeBlocks();
  for (let at = 0; at < MAX_SHARED_READS; at++) expect(blocks.readSent(readAt(at))).toBe(true);
  expect(blocks.readSent(readAt(MAX_SHARED_READS))).toBe(false);
  expect(blocks.reads).toBe(MAX_SHARED_READS);
});

// Limits: link-gateway/src/routing/reads/limits.ts MAX_WRITE_RANGES
it('keeps the ranges of a bounded number of writes, and takes one more for a write of everything', () => {
  const blocks = new NodeBlocks();
  for (let n = 0; n < MAX_WRITE_RANGES; n++) blocks.writeSent({}, rangeAt(n));
  expect(blocks.readSent(readAt(MAX_WRITE_RANGES + 1))).toBe(true);
  const last = {};
  blocks.writeSent(last, rangeAt(MAX_WRITE_RANGES));
  expect(blocks.find(String(MAX_WRITE_RANGES + 1))).toBe(null);
  expect(blocks.readSent(readAt(MAX_WRITE_RANGES + 1))).toBe(false);
  blocks.writeOver(last);
  expect(blocks.readSent(readAt(MAX_WRITE_RANGES + 1))).toBe(true);
});

it('a write that goes on may write anywhere, and the end of an unknown write changes nothing', () => {
  const blocks = new NodeBlocks();
  const write = {};
  blocks.writeOver(write);
  blocks.writeSent(write, rangeAt(0));
  expect(blocks.readSent(readAt(5))).toBe(true);
  blocks.writeSent(write, EVERYTHING);
  expect(blocks.find('5')).toBe(null);
  blocks.writeOver(write);
  expect(blocks.readSent(readAt(5))).toBe(true);
});
