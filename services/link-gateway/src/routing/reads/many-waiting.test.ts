import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type AskerAnswer, BlocksWorld } from './blocks-world.fixture.ts';
import { WaitingRead } from './shared-read.ts';

/** Reads that others wait for. */
const READS = 1_000;
/** Units of work in a turn: fewer than by default, so that fewer reads are enough for the test. */
const PER_TURN = 100;

let world: BlocksWorld;
afterEach(async () => {
  vi.restoreAllMocks();
  await world.stop();
});

const isEnding = () => world.mesh.gateway.gateway.tables().endings !== 0;

/** The most reads that are sent to the node again in one turn of the event loop, while endings are under way. */
async function mostAsked(): Promise<number> {
  let most = 0;
  await until(isEnding);
  for (let before = 0; isEnding(); ) {
    const now = world.askedAgain;
    most = Math.max(most, now - before);
    before = now;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return most;
}

describe('very many reads that others wait for', () => {
  it('are sent to the node again in limited slices when the open that they are on ends', async () => {
    world = await BlocksWorld.start({ endings: { perTurn: PER_TURN } });
    const [a, b] = await world.askers(2);
    if (a === undefined || b === undefined) throw new Error('they are there');
    const on = await a.open();
    const onB = await b.open();
    for (let n = 0; n < READS; n++) a.read({ offset: n * 4096 }, { on });
    await world.nodeWasAsked(READS);
    const answers: AskerAnswer[] = [];
    for (let n = 0; n < READS; n++) answers.push(b.read({ offset: n * 4096 }, { on: onB }));
    await world.mesh.settled(1);
    expect(world.consolidated).toBe(READS);
    a.member.node.endpoint.end(on);
    a.flush();
    // Two turns' units: the first part, and a slice of what waits.
    expect(await mostAsked()).toBeLessThanOrEqual(2 * PER_TURN);
    await world.nodeWasAsked(2 * READS);
    expect(world.askedAgain).toBe(READS);
    for (const asked of world.asked) if (!asked.tx.txDeleted) world.answer(asked);
    for (const answer of answers) await b.until(answer);
    expect(answers.every(({ messages }) => messages.join() === '5fff03 0 data')).toBe(true);
  });

  it('are refused in limited slices when they are on an open of the same asker that ends', async () => {
    world = await BlocksWorld.start({ endings: { perTurn: PER_TURN } });
    const a = await world.asker();
    const on = await a.open();
    const answers = Array.from({ length: READS }, () => a.read({}, { on }));
    await world.nodeWasAsked(1);
    await world.mesh.settled(1);
    expect(world.consolidated).toBe(READS - 1);
    a.member.node.endpoint.end(on);
    a.flush();
    for (const answer of answers) await a.until(answer);
    await world.mesh.settled();
    // No read is sent to the node on an open that ends.
    expect([world.asked.length, world.askedAgain]).toEqual([1, 0]);
  });
});

describe('very many askers that wait for one read', () => {
  it('cost one step each when the askers that asked the node leave one after the other', async () => {
    world = await BlocksWorld.start();
    const a = await world.asker();
    const answers = Array.from({ length: READS }, () => a.read({}, { last: false }));
    await world.nodeWasAsked(1);
    await world.mesh.settled(1);
    expect(world.consolidated).toBe(READS - 1);
    const steps = vi.spyOn(WaitingRead.prototype, 'leave');
    for (const { tx } of answers) tx.endpoint.end(tx, 0, true);
    a.flush();
    for (const answer of answers) await a.until(answer);
    // Each asker leaves at most twice: when it asks or aborts, and when it is gone.
    expect(steps.mock.calls.length).toBeLessThanOrEqual(2 * READS);
    await world.mesh.settled();
  });

  it('ask the node in limited slices, each for itself, when no more of the answer can be kept', async () => {
    world = await BlocksWorld.start({ endings: { perTurn: PER_TURN } });
    const a = await world.asker();
    const answers = Array.from({ length: READS }, () => a.read());
    await world.nodeWasAsked(1);
    await world.mesh.settled(1);
    const part = Buffer.alloc(1024 * 1024 - 192);
    const [first] = world.asked;
    if (first === undefined) throw new Error('it is there');
    for (let n = 0; n <= 16; n++) world.answer(first, part, { last: false });
    expect(await mostAsked()).toBeLessThanOrEqual(2 * PER_TURN);
    await world.nodeWasAsked(READS);
    for (const asked of world.asked) world.answer(asked);
    for (const answer of answers) await a.until(answer);
    expect(world.askedAgain).toBe(READS - 1);
  });
});
