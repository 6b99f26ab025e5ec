import {
  ABORT,
  BLK_CLOSE,
  BLK_FREEBLKS,
  BLK_OPEN,
  BLK_READ,
  BLK_WRITE,
  DELETE,
  LNK_ERROR,
} from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { afterEach, describe, expect, it } from 'vitest';
import {
  Answer,
  type Asker,
  type AskerAnswer,
  BlocksWorld,
  CLUSTER,
  ioPayload,
  openPayload,
} from './blocks-world.fixture.ts';
import { MAX_COPIED_BYTES, MAX_KEPT_BYTES, MAX_WAITING_READS } from './limits.ts';

let world: BlocksWorld;
afterEach(() => world.stop());

/** Has all askers read the same block, one after the other. Returns their answers. */
async function allRead(askers: readonly Asker[], { last = true } = {}): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const asker of askers) {
    answers.push(asker.read({}, { last }));
    await world.mesh.settled(1);
  }
  return answers;
}

const bases = () => world.asked.map(({ base }) => base);

describe('reads of the same block at the same time', () => {
  // Causes: metric spanmesh_gateway_reads_consolidated_total
  it.each([
    [1, 'here'],
    [2, 'there'],
  ] as const)('are one request to the node, and everybody gets the answer, gateways: %i', async (gateways, where) => {
    world = await BlocksWorld.start({ gateways });
    const askers = [...(await world.askers(2)), ...(await world.askers(2, where))];
    // A first write by each asker opens the route over the trunk, which stays open with its relay.
    for (const asker of askers) {
      const wrote = asker.write({ offset: 1 << 30 });
      await world.nodeWasAsked(1);
      world.answer(world.asked.shift()!, '');
      await asker.until(wrote);
    }
    await world.mesh.settled();
    const before = world.mesh.counts;
    const answers = await allRead(askers);
    expect(world.asked).toHaveLength(1);
    expect(world.consolidated).toBe(3);
    const block = Buffer.alloc(5000, 'block');
    world.answer(world.asked[0]!, block);
    for (const [n, asker] of askers.entries()) await asker.until(answers[n]!);
    const [first] = answers[0]!.bytes;
    expect(first!.subarray(0, 128)).toEqual(Buffer.alloc(128, 0xe1));
    expect(first!.subarray(128, 128 + block.length)).toEqual(block);
    for (const { bytes } of answers) expect(bytes).toEqual([first]);
    // A read after the answer is a request of its own.
    const late = askers[1]!.read();
    await world.nodeWasAsked(2);
    world.answer(world.asked[1]!, 'later');
    await askers[1]!.until(late);
    expect(late.messages[0]).toMatch(/later$/);
    await world.mesh.settled();
    expect(world.mesh.counts).toEqual(before);
    expect(world.askedAgain).toBe(0);
  });

  it('are one request each if the cluster is not one of those named', async () => {
    world = await BlocksWorld.start({ clusters: CLUSTER.replace('0b', '0c') });
    await allRead(await world.askers(3));
    expect(world.asked).toHaveLength(3);
    expect(world.consolidated).toBe(0);
  });

  it.each([
    ['keyid', { keyid: 8 }],
    ['offset', { offset: 512 }],
    ['offset, upper half', { offset: 2 ** 32 }],
    ['bytes', { bytes: 512 }],
    ['flags', { flags: 1 }],
  ])('are different reads if they differ in %s', async (_what, block) => {
    world = await BlocksWorld.start();
    const [a, b] = await world.askers(2);
    a!.read();
    b!.read(block);
    await world.nodeWasAsked(2);
    expect(world.consolidated).toBe(0);
  });

  it('are not joined once a part of the answer has been passed on', async () => {
    world = await BlocksWorld.start();
    const [a, b, c] = await world.askers(3);
    const [answerA, answerB] = await allRead([a!, b!]);
    world.answer(world.asked[0]!, 'one', { last: false });
    await a!.member.node.until(() => answerA!.messages.length === 1);
    expect(answerB!.messages).toEqual([]);
    const answerC = c!.read();
    await world.nodeWasAsked(2);
    world.answer(world.asked[0]!, 'two', { error: ErrorCode.IO });
    world.answer(world.asked[1]!, 'other');
    for (const [asker, answer] of [
      [a!, answerA!],
      [b!, answerB!],
      [c!, answerC],
    ] as const) {
      await asker.until(answer);
    }
    expect(answerA!.messages).toEqual(['5fff03 0 one', '5fff03 34 two']);
    expect(answerB!.messages).toEqual(answerA!.messages);
    expect(answerB!.bytes).toEqual(answerA!.bytes);
    expect(answerC.messages).toEqual(['5fff03 0 other']);
  });

  it('do not wait for a read whose asker may still send more in it', async () => {
    world = await BlocksWorld.start();
    const [a, b] = await world.askers(2);
    a!.read({}, { last: false });
    b!.read();
    await world.nodeWasAsked(2);
    expect(world.consolidated).toBe(0);
  });

  it('get the error that the node answers', async () => {
    world = await BlocksWorld.start();
    const askers = await world.askers(3);
    const answers = await allRead(askers);
    world.node.node.endpoint.end(world.asked[0]!.tx, ErrorCode.PARAM);
    world.node.node.flush();
    for (const [n, asker] of askers.entries()) await asker.until(answers[n]!);
    for (const { messages } of answers) expect(messages).toEqual(['fff01 35 ']);
    expect(world.asked).toHaveLength(1);
  });

  it('may be stacked on opens that were granted alike, and on no others', async () => {
    world = await BlocksWorld.start();
    const [a, b, c, d] = await world.askers(4);
    const onA = { on: await a!.open(1) };
    const onB = { on: await b!.open(1) };
    const onC = { on: await c!.open(3) };
    a!.read({}, onA);
    await world.nodeWasAsked(1);
    b!.read({}, onB);
    await world.mesh.settled(1);
    expect(world.consolidated).toBe(1);
    // c's open has other modes, d has no open, and b sends more in its open: none of their reads is like a's.
    c!.read({}, onC);
    d!.read();
    await world.nodeWasAsked(3);
    b!.member.node.endpoint.send(onB.on, BLK_CLOSE);
    b!.read({}, onB);
    await world.nodeWasAsked(4);
    // An open that the node refuses is not granted alike either.
    world.grants = false;
    const refused = await d!.open(1);
    expect(refused.rxDeleted).toBe(true);
    expect(world.consolidated).toBe(1);
  });
});

describe('beside a write', () => {
  it.each([
    ['of an overlapping range', { offset: 4095, bytes: 1 }, BLK_WRITE],
    ['of data longer than its bytes field', { offset: 0, bytes: 1 }, BLK_WRITE],
    ['of a block that is freed', { offset: 0, bytes: 1 << 20 }, BLK_FREEBLKS],
    ['by an unknown command', { offset: 1 << 20 }, 0x00700a02],
  ])('no read waits for another one: %s', async (_what, block, cmd) => {
    world = await BlocksWorld.start();
    const [a, b, c] = await world.askers(3);
    a!.read();
    await world.nodeWasAsked(1);
    const wrote = new Answer();
    c!.member.node.endpoint.open(cmd | DELETE, c!.relay, wrote, ioPayload(block), 0, Buffer.alloc(64, 'n'));
    c!.flush();
    await world.nodeWasAsked(2);
    // No read waits for one that was sent before the write, nor for one that is sent while the write is not answered.
    b!.read();
    await world.nodeWasAsked(3);
    c!.read();
    await world.nodeWasAsked(4);
    expect(world.consolidated).toBe(0);
    world.answer(world.asked[1]!, '');
    await c!.until(wrote);
    await world.mesh.settled(1);
    a!.read();
    await world.nodeWasAsked(5);
    b!.read();
    await world.mesh.settled(1);
    expect(world.asked).toHaveLength(5);
    expect(world.consolidated).toBe(1);
  });

  it('of another range reads wait for each other as usual', async () => {
    world = await BlocksWorld.start();
    const [a, b, c] = await world.askers(3);
    a!.read();
    await world.nodeWasAsked(1);
    c!.write({ offset: 4096 });
    await world.nodeWasAsked(2);
    b!.read();
    await world.mesh.settled(1);
    expect(world.consolidated).toBe(1);
    expect(bases()).toEqual([0x500302, 0x500402]);
  });

  it.each([
    ['over another link of the same node no read waits for another one', 3, 0],
    ['to a node that differs in its type of peer reads wait for each other as usual', 4, 1],
  ])('%s', async (_what, peerType, consolidated) => {
    world = await BlocksWorld.start();
    const [a, b, c] = await world.askers(3);
    const span = await world.mesh.span(await world.mesh.join('circuit'), 1, peerType);
    c!.write({}, { on: await world.mesh.relaySpan(span, c!.member) });
    await world.mesh.settled(1);
    await allRead([a!, b!]);
    expect(world.consolidated).toBe(consolidated);
  });

  it('that is refused, since its asker has closed what it is stacked on, reads wait for each other as usual', async () => {
    world = await BlocksWorld.start();
    const [a, b, c] = await world.askers(3);
    const on = await c!.open(3);
    c!.member.node.endpoint.end(on);
    const refused = c!.write({}, { on });
    await c!.until(refused);
    expect(world.mesh.gateway.gateway.counters.routedDropped).toBe(1);
    await allRead([a!, b!]);
    expect([world.consolidated, bases()]).toEqual([1, [BLK_READ]]);
  });

  it('that goes on in its transaction, or is one-way and has no end, no read waits for another one', async () => {
    world = await BlocksWorld.start();
    const [a, b, c] = await world.askers(3);
    const write = c!.write({ offset: 1 << 20 }, { last: false });
    await world.nodeWasAsked(1);
    await allRead([a!, b!]);
    expect(world.consolidated).toBe(0);
    c!.member.node.endpoint.end(write.tx);
    world.node.node.endpoint.end(world.asked[0]!.tx);
    c!.flush();
    await world.mesh.settled();
    await allRead([a!, b!]);
    expect(world.consolidated).toBe(1);
    c!.member.node.endpoint.oneWay(BLK_WRITE, 0, ioPayload({ offset: 1 << 20 }), null, c!.relay);
    c!.flush();
    await world.mesh.settled();
    await allRead([a!, b!]);
    expect(world.consolidated).toBe(1);
  });
});

describe('when the first asker goes', () => {
  // Causes: metric spanmesh_gateway_reads_asked_again_total
  it.each<[string, (a: Asker, answer: AskerAnswer) => void]>([
    ['aborts', ({ member }, { tx }) => member.node.endpoint.end(tx, 0, true)],
    ['is cut off', ({ member }) => member.node.destroy()],
    ['closes its relay', ({ member, relay }) => member.node.endpoint.end(relay)],
    ['sends more in its transaction', ({ member }, { tx }) => void member.node.endpoint.send(tx, BLK_CLOSE)],
  ])('and %s, the next asker asks the node, and the others wait for its answer', async (_how, go) => {
    world = await BlocksWorld.start();
    const [a, b, c] = await world.askers(3);
    const answerA = a!.read({}, { last: false });
    await world.nodeWasAsked(1);
    const [answerB, answerC] = await allRead([b!, c!], { last: false });
    expect(world.asked).toHaveLength(1);
    go(a!, answerA);
    a!.flush();
    await world.node.node.until(() => world.asked.length === 2);
    await world.mesh.settled();
    expect(world.asked).toHaveLength(2);
    expect(world.asked[1]!.payload).toEqual(world.asked[0]!.payload);
    world.answer(world.asked[1]!, 'second');
    await b!.until(answerB!);
    await c!.until(answerC!);
    expect(answerB!.messages).toEqual(['5fff03 0 second']);
    expect(answerC!.bytes).toEqual(answerB!.bytes);
    expect(world.askedAgain).toBe(1);
  });

  it('with its open, in the middle of the answer, the other asker gets no part of that answer', async () => {
    world = await BlocksWorld.start();
    const [a, b] = await world.askers(2);
    const onA = await a!.open();
    const answerA = a!.read({}, { on: onA });
    await world.nodeWasAsked(1);
    const answerB = b!.read({}, { on: await b!.open() });
    await world.mesh.settled(1);
    world.answer(world.asked[0]!, 'one', { last: false });
    await a!.member.node.until(() => answerA.messages.length === 1);
    a!.member.node.endpoint.end(onA);
    a!.flush();
    await world.node.node.until(() => world.asked.length === 2);
    expect(answerB.messages).toEqual([]);
    world.answer(world.asked[1]!, 'whole');
    await b!.until(answerB);
    expect(answerB.messages).toEqual(['5fff03 0 whole']);
  });

  it('because the node aborts the read, the next asker asks', async () => {
    world = await BlocksWorld.start();
    const askers = await world.askers(3);
    const answers = await allRead(askers);
    for (let n = 0; n < 3; n++) {
      await world.node.node.until(() => world.asked.length === n + 1);
      world.node.node.endpoint.end(world.asked[n]!.tx, ErrorCode.IO, true);
      world.node.node.flush();
      await askers[n]!.until(answers[n]!);
      expect(answers[n]!.messages).toEqual(['fff01 34 ']);
    }
    await world.mesh.settled();
    expect(world.asked).toHaveLength(3);
  });
});

describe('an asker that waits', () => {
  it('can abort alone, and its abort is answered as if it had asked the node', async () => {
    world = await BlocksWorld.start();
    const [a, b, c] = await world.askers(3);
    const answerA = a!.read({}, { last: false });
    await world.nodeWasAsked(1);
    const answerB = b!.read({}, { last: false });
    await world.mesh.settled(1);
    c!.read({}, { last: false });
    await world.mesh.settled(1);
    expect(world.consolidated).toBe(2);
    b!.member.node.endpoint.send(answerB.tx, LNK_ERROR | DELETE | ABORT);
    b!.flush();
    c!.member.node.destroy();
    await b!.until(answerB);
    expect(answerB.messages).toEqual(['fff01 33 ']);
    world.answer(world.asked[0]!);
    await a!.until(answerA);
    expect(answerA.messages).toEqual([`5fff03 0 data`]);
    await world.mesh.settled();
    expect(world.asked).toHaveLength(1);
  });

  it('asks for itself when it sends more in the read, or opens a transaction on it', async () => {
    world = await BlocksWorld.start();
    const [a, b, c] = await world.askers(3);
    a!.read({}, { last: false });
    await world.nodeWasAsked(1);
    const answerB = b!.read({}, { last: false });
    const answerC = c!.read({}, { last: false });
    await world.mesh.settled(1);
    b!.member.node.endpoint.send(answerB.tx, BLK_CLOSE);
    b!.flush();
    await world.nodeWasAsked(2);
    expect(world.asked[1]!.said).toEqual(['4500202']);
    c!.write({ offset: 1 << 20 }, { on: answerC.tx });
    await world.nodeWasAsked(4);
    expect(world.asked[3]!.tx.circuit).toBe(world.asked[2]!.tx);
    expect(world.askedAgain).toBe(2);
  });

  it('may close its direction in order and still gets the answer', async () => {
    world = await BlocksWorld.start();
    const [a, b] = await world.askers(2);
    a!.read({}, { last: false });
    await world.nodeWasAsked(1);
    const answerB = b!.read({}, { last: false });
    await world.mesh.settled(1);
    b!.member.node.endpoint.end(answerB.tx);
    b!.flush();
    world.answer(world.asked[0]!);
    await b!.until(answerB);
    expect(answerB.messages).toEqual(['5fff03 0 data']);
    expect(world.asked).toHaveLength(1);
  });

  it('is told at once when the node is lost', async () => {
    world = await BlocksWorld.start();
    const askers = await world.askers(3);
    const answers = await allRead(askers);
    world.node.node.destroy();
    for (const [n, asker] of askers.entries()) await asker.until(answers[n]!);
    for (const { messages } of answers) expect(messages.at(-1)).toMatch(/(33|lost)/);
  });
});

describe('a client of the gateway itself', () => {
  it('writes like a peer: no read waits for one sent before the write, or during it', async () => {
    world = await BlocksWorld.start();
    const [a, b] = await world.askers(2);
    const route = world.mesh.gateway.gateway.clients.openRoute(world.span.link, 'circuit', {
      onOpen: () => {},
      onOneWay: () => {},
      onLost: () => {},
    });
    a!.read();
    await world.nodeWasAsked(1);
    const wrote = new Answer();
    const tx = route!.open(BLK_WRITE | DELETE, null, wrote, ioPayload({}), Buffer.from('new'));
    await world.nodeWasAsked(2);
    b!.read();
    await world.nodeWasAsked(3);
    world.answer(world.asked[1]!, '');
    await world.mesh.settled();
    expect([wrote.isOver, tx.ended, world.consolidated]).toEqual([true, true, 0]);
    await allRead([a!, b!]);
    expect(world.consolidated).toBe(1);
    // A write inside an open transaction, and a one-way write, count as well.
    const open = route!.open(BLK_OPEN, null, new Answer(), openPayload(3));
    route!.send(open, BLK_WRITE, 0, ioPayload({}), null);
    await allRead([a!, b!]);
    open.endpoint.end(open);
    await world.mesh.settled();
    expect(world.consolidated).toBe(1);
    await allRead([a!, b!]);
    expect(world.consolidated).toBe(2);
    route!.oneWay(BLK_WRITE, null, ioPayload({}));
    await allRead([a!, b!]);
    expect(world.consolidated).toBe(2);
    route!.close();
  });
});

describe('the limits of consolidated reads', () => {
  const MIB = 1024 * 1024;

  // Limits: link-gateway/src/routing/reads/limits.ts MAX_WAITING_READS
  it('a bounded number of reads wait for one, and one more asks the node', async () => {
    world = await BlocksWorld.start();
    const [a] = await world.askers(1);
    for (let n = 0; n <= MAX_WAITING_READS; n++) a!.read();
    await world.mesh.settled(1);
    expect(world.consolidated).toBe(MAX_WAITING_READS);
    expect(world.asked).toHaveLength(1);
    a!.read();
    await world.nodeWasAsked(2);
    expect(world.consolidated).toBe(MAX_WAITING_READS);
  });

  // Limits: link-gateway/src/routing/reads/limits.ts MAX_COPIED_BYTES
  it('a bounded number of copies is made of an answer; the askers left over ask once more, together', async () => {
    world = await BlocksWorld.start();
    const block = Buffer.alloc(MIB - 192, 'b');
    const copies = Math.floor(MAX_COPIED_BYTES / MIB);
    // One read is sent to the node, `copies` askers that wait get a copy of its answer, and two askers are left over.
    const askers = await world.askers(1 + copies + 2);
    const answers = await allRead(askers);
    world.answer(world.asked[0]!, block);
    await world.nodeWasAsked(2);
    for (let n = 0; n <= copies; n++) await askers[n]!.until(answers[n]!);
    expect(answers.slice(-2).map(({ isOver }) => isOver)).toEqual([false, false]);
    world.answer(world.asked[1]!, block);
    for (const [n, asker] of askers.entries()) await asker.until(answers[n]!);
    expect([world.asked.length, world.askedAgain]).toEqual([2, 1]);
  });

  // Limits: link-gateway/src/routing/reads/limits.ts MAX_KEPT_BYTES
  it('a bounded part of an answer is kept for those that wait; past it each asks for itself', async () => {
    world = await BlocksWorld.start();
    const [a, b, c] = await world.askers(3);
    const answers = await allRead([a!, b!, c!]);
    const part = Buffer.alloc(MIB - 192, 'p');
    const parts = MAX_KEPT_BYTES / MIB;
    for (let n = 0; n < parts; n++) world.answer(world.asked[0]!, part, { last: false });
    await a!.member.node.until(() => answers[0]!.messages.length === parts);
    expect(world.askedAgain).toBe(0);
    world.answer(world.asked[0]!, part, { last: false });
    await world.nodeWasAsked(3);
    expect(world.askedAgain).toBe(2);
    for (const asked of world.asked) world.answer(asked, 'end');
    for (const [n, asker] of [a!, b!, c!].entries()) await asker.until(answers[n]!);
    expect(answers.map(({ messages }) => messages.length)).toEqual([parts + 2, 1, 1]);
  });
});
