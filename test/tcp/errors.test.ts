import { until } from '@spanmesh/runtime/patience.fixture';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadErrors } from '../peer/capture.ts';
import { testUuid } from '../peer/payloads.ts';
import { CREATE, type Dialect, describeMessage, ERROR, isCmd, LNK_ERROR, type Message, REPLY } from '../peer/wire.ts';
import { World } from '../peer/world.ts';
import { type Answer, ERROR_CASES, type ErrorCase, mismatch } from './error-cases.ts';
import { adaptTemplate, OFFENDER_NODE, type Stage, setStage } from './error-stage.ts';

/** Cases that were recorded with keys: they are about the handshake, not about messages (crypt.test.ts). */
const CRYPTO = /^(no-key-file|handshake-.*|chunk-with-bad-tag)$/;
const recorded = loadErrors().filter((one) => !CRYPTO.test(one.case));

describe.each(['linkid', 'circuit'] as Dialect[])('malformed and unexpected input, %s', (dialect) => {
  const own = recorded.filter((one) => one.dialect === dialect);
  const cases = ERROR_CASES.filter(({ name, dialects }) => {
    // A recorded case is played only in the dialects in which it was recorded.
    if (recorded.some((one) => one.case === name)) return own.some((one) => one.case === name);
    return dialects === undefined || dialects.includes(dialect);
  });
  let world: World;
  beforeAll(async () => {
    world = await World.start({ markers: dialect === 'linkid' ? 'circuit' : 'linkid' });
  });
  afterAll(() => world?.stop());

  it('has a case for everything that was recorded', () => {
    const names = new Set(cases.map(({ name }) => name));
    expect(own.filter((one) => !names.has(one.case)).map((one) => one.case)).toEqual([]);
  });

  it.each(cases)('$name', async (errorCase) => {
    const outcome = typeof errorCase.outcome === 'function' ? errorCase.outcome(dialect) : errorCase.outcome;
    const before = 'closed' in outcome && outcome.closed !== null ? await closedWith(world, outcome.closed) : 0;
    const stage = await setStage(world, dialect, errorCase.setup ?? 'full');
    try {
      await play(stage, errorCase, own.find((one) => one.case === errorCase.name)?.sent ?? null);
      if ('closed' in outcome) {
        if (outcome.who === 'y') await expectBystanderClosed(stage);
        else await expectClosed(stage, outcome.answers?.(stage) ?? []);
        if (outcome.closed !== null) {
          const { closed } = outcome;
          await until(
            async () => (await closedWith(world, closed)) === before + 1,
            () => `a counter of links ended with ${closed} in /metrics is one up`,
          );
        }
      } else {
        await expectAnswers(
          stage,
          outcome.answers.map((answers) => answers(stage)),
        );
        expectRelays(stage, outcome.bystander ?? 'keeps');
      }
      await expectNewcomerServed(stage);
      expectNothingElse(stage);
    } finally {
      await world.clear();
    }
  });
});

async function play(stage: Stage, { name, template, play: byHand }: ErrorCase, sent: Buffer | null): Promise<void> {
  if (byHand !== undefined) {
    await byHand(stage);
    return;
  }
  if (template === undefined || sent === null) throw new Error(`nothing to play for ${name}`);
  const sender = template.by === 'y' ? stage.y.raw : stage.x;
  sender.sendBytes(adaptTemplate(stage, sent, { ...template, sender }));
}

/** Expects X's link to be ended, and nothing else: Y sees the end of X's span in order, and is served. */
async function expectClosed({ x, y, world }: Stage, answers: Answer[]): Promise<void> {
  await x.untilEnded();
  // All further messages to X are the ends of transactions that the router had opened.
  for (const answer of answers) {
    const message = x.inbox.shift();
    expect(message === undefined ? 'no answer' : mismatch(answer, message, ERROR)).toBeNull();
  }
  await y.relayGone(({ node }) => node === OFFENDER_NODE, "the end of X's span");
  await world.settled(y);
  expect(y.relays()).toEqual([]);
}

/** Expects X to get exactly the answers of one of the lists, and to be served. */
async function expectAnswers({ x, y, world }: Stage, lists: Answer[][]): Promise<void> {
  let got: Message[] = [];
  if (lists.length === 1) {
    // Taken one by one: an answer to a barrier may look like the end of a shell command's output.
    for (const _ of lists[0]!) got.push(await x.next('an answer'));
    await world.settled(x, y);
    got = [...got, ...x.inbox];
  } else {
    await world.settled(x, y);
    got = [...x.inbox];
  }
  const wrong = lists.map((answers) => {
    const reasons = answers.map((answer, at) =>
      got[at] === undefined ? 'an answer is missing' : mismatch(answer, got[at], ERROR),
    );
    if (got.length > answers.length) reasons.push(`${got.length - answers.length} answers too many`);
    return reasons.filter((reason) => reason !== null);
  });
  if (!wrong.some((reasons) => reasons.length === 0)) expect(wrong).toEqual([]);
  expect(x.isEnded).toBe(false);
}

function expectRelays({ y, relay }: Stage, bystander: 'keeps' | 'loses' | 'gains'): void {
  const held = y.relays();
  const kept = relay === null ? 0 : Number(held.some(({ msgid }) => msgid === relay.msgid));
  const rest = held.filter(({ msgid }) => msgid !== relay?.msgid);
  expect({ kept, more: rest.length }).toEqual({
    kept: bystander === 'loses' || relay === null ? 0 : 1,
    more: bystander === 'gains' ? 1 : 0,
  });
}

/** Y is the offender: expects its link to be ended, and X to be served and to receive nothing. */
async function expectBystanderClosed({ x, y, world }: Stage): Promise<void> {
  await y.raw.untilEnded();
  await world.settled(x);
  expect(x.inbox).toEqual([]);
}

/** Expects a new peer to be served: its span is relayed to the bystander, if that is still connected. */
async function expectNewcomerServed({ world, dialect, y }: Stage): Promise<void> {
  const newcomer = await world.live(dialect, { name: 'newcomer', localAddress: '127.0.0.4' });
  await newcomer.openConn({ label: 'newcomer' });
  const node = testUuid(0x0e30);
  const msgid = newcomer.openSpan({ node });
  if (y.raw.isEnded) {
    await world.settled(newcomer);
  } else {
    await y.relay((span) => span.node === node, "a new client's span");
    await newcomer.close(msgid);
    await y.relayGone((span) => span.node === node);
  }
  expect(newcomer.raw.isEnded).toBe(false);
}

/** Expects that Y received no other messages, except perhaps the acknowledgement of a span that it opened by hand. */
function expectNothingElse({ y, span, rev }: Stage): void {
  const acknowledged = (message: Message) => message.msgid === span && isCmd(message, CREATE | REPLY | rev | LNK_ERROR);
  expect(y.raw.inbox.filter((message) => !acknowledged(message)).map(describeMessage)).toEqual([]);
}

/** How many links have been ended with this error: the sum of all samples that name it. */
async function closedWith(world: World, error: string): Promise<number> {
  let sum = 0;
  for (const [sample, value] of await world.metrics()) if (sample.includes(`"${error}"`)) sum += value;
  return sum;
}
