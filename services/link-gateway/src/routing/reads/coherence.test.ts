import { ABORT, DELETE, LNK_ERROR } from '@spanmesh/dmsg/command';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Asked, type Asker, type AskerAnswer, BlocksWorld } from './blocks-world.fixture.ts';

const BLK_READ = 0x500302;
const BLOCKS = 2;
const BLOCK_BYTES = 512;

/** One step of an asker or of the node. `block`: the block that is read or written. */
const step = fc.record({
  what: fc.constantFrom('read', 'read', 'read', 'write', 'do', 'answer', 'answerWrite', 'part', 'refuse', 'leave'),
  /** If true, the next step does not wait until all messages of this one have arrived. */
  hurry: fc.nat(4).map((n) => n === 0),
  who: fc.nat(4),
  block: fc.nat(BLOCKS - 1),
  last: fc.boolean(),
  pick: fc.nat(),
});

let world: BlocksWorld;

/**
 * A read must bring a version of the block that is at least as new as the one known when the read was sent, and no
 * newer than the one stored when the answer comes. The node counts a block's version up with each write; a version is
 * known once its write has been answered.
 */
describe.each([1, 2] as const)('random reads and writes, gateways: %i', (gateways) => {
  it('bring only versions that the node itself could have answered', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 80, size: 'max' }), async (steps) => {
        world = await BlocksWorld.start({ gateways });
        try {
          await play(await world.askers(3), await world.askers(2, 'there'), steps);
        } finally {
          await world.stop();
        }
      }),
      { numRuns: 10, timeout: 30_000, endOnFailure: true },
    );
  });
});

type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

async function play(here: Asker[], there: Asker[], steps: readonly Step[]): Promise<void> {
  const askers = [...here, ...there];
  /** By block: the version that the node has stored, and the highest version of an answered write. */
  const stored = new Array<number>(BLOCKS).fill(0);
  const known = new Array<number>(BLOCKS).fill(0);
  /** The result of each request that the node has carried out. Requests come in order and are carried out in any. */
  const results = new Map<Asked, string>();
  const reads: { answer: AskerAnswer; block: number; atLeast: number; checked: boolean }[] = [];
  const writes: { answer: AskerAnswer; block: number; counted: boolean }[] = [];
  const open = () => world.asked.filter(({ tx }) => !tx.txDeleted && !tx.ended);
  const blockOf = ({ payload }: Asked) => payload.readUInt32LE(8) / BLOCK_BYTES;

  /** The node carries out a request, once, and returns its result. */
  const done = (asked: Asked): string => {
    const known = results.get(asked);
    if (known !== undefined) return known;
    if (asked.base !== BLK_READ) stored[blockOf(asked)]!++;
    const result = `v${stored[blockOf(asked)]}`;
    results.set(asked, result);
    return result;
  };
  const look = () => {
    for (const read of reads) {
      if (read.checked || !read.answer.isOver) continue;
      read.checked = true;
      const last = read.answer.messages.at(-1)!;
      const version = / v(\d+)$/.exec(last);
      if (version === null) continue;
      expect(Number(version[1])).toBeGreaterThanOrEqual(read.atLeast);
      expect(Number(version[1])).toBeLessThanOrEqual(stored[read.block]!);
    }
    for (const write of writes) {
      const version = write.counted ? null : / v(\d+)$/.exec(write.answer.messages.at(-1) ?? '');
      if (version === null) continue;
      write.counted = true;
      known[write.block] = Math.max(known[write.block]!, Number(version[1]));
    }
  };

  for (const { what, who, block, last, pick, hurry } of steps) {
    const asker = askers[who]!;
    const at = { offset: block * BLOCK_BYTES, bytes: BLOCK_BYTES };
    const waits = open();
    const asked = waits[pick % Math.max(1, waits.length)];
    if (what === 'read' && !asker.member.node.closed) {
      reads.push({ answer: asker.read(at, { last }), block, atLeast: known[block]!, checked: false });
    } else if (what === 'write' && !asker.member.node.closed) {
      writes.push({ answer: asker.write(at, { last }), block, counted: false });
    } else if (what === 'do') {
      // The reads are carried out now, and answered by a later step.
      for (const one of waits) if (one.base === BLK_READ) done(one);
    } else if (what === 'answerWrite') {
      const write = waits.find(({ base }) => base !== BLK_READ);
      if (write !== undefined) world.answer(write, done(write));
    } else if (what === 'answer' && asked !== undefined) {
      world.answer(asked, done(asked));
    } else if (what === 'part' && asked?.base === BLK_READ) {
      world.answer(asked, done(asked), { last: false });
    } else if (what === 'refuse' && asked?.base === BLK_READ) {
      world.node.node.endpoint.end(asked.tx, 5, pick % 2 === 0);
      world.node.node.flush();
    } else if (what === 'leave') {
      const left = reads.filter(({ answer }) => !answer.isOver && !answer.tx.txDeleted);
      const read = left[pick % Math.max(1, left.length)];
      if (read !== undefined) {
        read.answer.tx.endpoint.send(read.answer.tx, LNK_ERROR | DELETE | ABORT);
        for (const one of askers) one.flush();
      }
    }
    if (!hurry) await world.mesh.settled(1);
    look();
  }
  // Once the node has answered all requests, every asker must have an answer.
  for (let times = 0; times < steps.length + 2; times++) {
    await world.mesh.settled();
    for (const asked of open()) world.answer(asked, done(asked));
    if (times > 1 && reads.every(({ answer }) => answer.isOver) && open().length === 0) break;
  }
  await world.mesh.settled();
  look();
  expect(reads.filter(({ answer }) => !answer.isOver)).toEqual([]);
  expect(writes.filter(({ answer }) => !answer.isOver)).toEqual([]);
}
