import { getEventListeners } from 'node:events';
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { ApiError } from '@spanmesh/runtime/grpc/api-error';
import { describe, expect, it } from 'vitest';
import { ASK_AGAIN_MS } from './limits.ts';
import { Question } from './question.ts';

function failure(code: status): ServiceError {
  return Object.assign(new Error(status[code]), { code, details: status[code], metadata: new Metadata() });
}

function world() {
  const clock = new FakeClock();
  const calls: { done(error: ServiceError | null, answer?: string): void; cancelled: boolean }[] = [];
  let over = 0;
  let left = 0;
  const question = new Question<string>(
    (done) => {
      const call = { done: (error: ServiceError | null, answer?: string) => done(error, answer), cancelled: false };
      calls.push(call);
      return {
        cancel: () => {
          call.cancelled = true;
        },
      };
    },
    { clock, onOver: () => over++, onLeft: () => left++ },
  );
  return { clock, calls, question, over: () => over, left: () => left };
}

const forever = () => new AbortController().signal;

describe('a question to topology', () => {
  it('is asked once for all callers that wait for its answer', async () => {
    const { calls, question, over } = world();
    const answers = [question.ask('a', forever()).answer, question.ask('a', forever()).answer];
    expect(calls).toHaveLength(1);
    calls[0]!.done(null, 'there');
    expect(await Promise.all(answers)).toEqual(['there', 'there']);
    expect(over()).toBe(1);
  });

  it('is asked again while topology is away', async () => {
    const { clock, calls, question } = world();
    const answer = question.ask('a', forever()).answer;
    for (const code of [status.UNAVAILABLE, status.INTERNAL, status.DEADLINE_EXCEEDED, status.FAILED_PRECONDITION]) {
      calls.at(-1)!.done(failure(code));
      const before = calls.length;
      clock.advance(ASK_AGAIN_MS - 1);
      expect(calls).toHaveLength(before);
      clock.advance(1);
      expect(calls).toHaveLength(before + 1);
    }
    calls.at(-1)!.done(null, 'there');
    expect(await answer).toBe('there');
  });

  it.each([status.INVALID_ARGUMENT, status.RESOURCE_EXHAUSTED])('is not asked again after %s', async (code) => {
    const { clock, calls, question, over } = world();
    const answer = question.ask('a', forever()).answer;
    calls[0]!.done(failure(code));
    await expect(answer).rejects.toMatchObject({ code });
    expect([clock.pending, over()]).toEqual([0, 1]);
  });

  it('is given up with the last caller that waits for its answer', async () => {
    const { clock, calls, question, over } = world();
    const [one, two] = [new AbortController(), new AbortController()];
    const answers = [question.ask('a', one.signal).answer, question.ask('a', two.signal).answer];
    one.abort();
    await expect(answers[0]).rejects.toMatchObject({ code: status.CANCELLED });
    expect(calls[0]!.cancelled).toBe(false);
    calls[0]!.done(failure(status.UNAVAILABLE));
    expect(clock.pending).toBe(1);
    two.abort();
    await expect(answers[1]).rejects.toMatchObject({ code: status.CANCELLED });
    expect([clock.pending, over()]).toEqual([0, 1]);
  });

  it('knows who waits for its answer, the one that has waited longest first', async () => {
    const { question, left } = world();
    const [a, b] = [new AbortController(), new AbortController()];
    expect([question.first, question.isAskedBy('a')]).toEqual([null, false]);
    const asked = [question.ask('a', a.signal), question.ask('a', forever()), question.ask('b', b.signal)];
    for (const { answer } of asked) answer.catch(() => {});
    expect([question.first, question.isAskedBy('a'), question.isAskedBy('b')]).toEqual(['a', true, true]);
    a.abort();
    expect([question.first, question.isAskedBy('a'), left()]).toEqual(['a', true, 1]);
    const gone = new ApiError(status.RESOURCE_EXHAUSTED, 'another one needs it');
    asked[1]?.giveUp(gone);
    asked[1]?.giveUp(gone);
    await expect(asked[1]?.answer).rejects.toBe(gone);
    expect([question.first, question.isAskedBy('a'), left()]).toEqual(['b', false, 2]);
    // The last one: nobody is left to be told.
    b.abort();
    expect([question.first, question.isAskedBy('b'), left()]).toEqual([null, false, 2]);
  });

  it('is given up for all callers of one user, not for others', async () => {
    const { question, over, calls } = world();
    const [one, two, other] = ['a', 'a', 'b'].map((principal) => question.ask(principal, forever()).answer);
    const gone = new ApiError(status.RESOURCE_EXHAUSTED, 'others need it');
    question.giveUpAll('a', gone);
    await expect(one).rejects.toBe(gone);
    await expect(two).rejects.toBe(gone);
    expect([over(), question.first]).toEqual([0, 'b']);
    calls[0]?.done(null, 'there');
    expect(await other).toBe('there');
  });

  it('is over once, and leaves nothing, however it ends', async () => {
    const answered = world();
    const signal = forever();
    const answer = answered.question.ask('a', signal).answer;
    answered.calls[0]?.done(null, 'there');
    answered.question.fail(new ApiError(status.UNAVAILABLE, 'too late'));
    answered.calls[0]?.done(failure(status.UNAVAILABLE));
    expect(await answer).toBe('there');
    expect([answered.over(), answered.clock.pending, answered.question.first]).toEqual([1, 0, null]);
    expect(answered.calls[0]?.cancelled).toBe(false);

    const failed = world();
    const waits = failed.question.ask('a', signal).answer;
    const stopping = new ApiError(status.UNAVAILABLE, 'stopping');
    failed.question.fail(stopping);
    failed.calls[0]?.done(failure(status.CANCELLED));
    await expect(waits).rejects.toBe(stopping);
    expect([failed.over(), failed.clock.pending, failed.question.first]).toEqual([1, 0, null]);
    expect(failed.calls[0]?.cancelled).toBe(true);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('is asked again soon if it is said so, and at once by nobody while it waits', async () => {
    const { clock, calls, question } = world();
    question.again();
    const answer = question.ask('a', forever()).answer;
    question.again();
    expect(calls[0]?.cancelled).toBe(true);
    calls[0]?.done(failure(status.CANCELLED));
    const other = question.ask('b', forever()).answer;
    question.again();
    expect([calls.length, clock.pending]).toEqual([1, 1]);
    clock.advance(ASK_AGAIN_MS);
    // An answer without anything in it is no answer.
    calls[1]?.done(null);
    clock.advance(ASK_AGAIN_MS);
    calls[2]?.done(null, 'there');
    expect([await answer, await other, calls.length]).toEqual(['there', 'there', 3]);
  });

  it('says why topology refuses it, and that a caller has left', async () => {
    const { calls, question } = world();
    const leaves = new AbortController();
    const gone = question.ask('a', leaves.signal).answer;
    const answer = question.ask('a', forever()).answer;
    leaves.abort();
    await expect(gone).rejects.toMatchObject({ details: 'Nobody waits for the answer any more.' });
    calls[0]?.done(failure(status.UNIMPLEMENTED));
    await expect(answer).rejects.toMatchObject({ code: status.UNIMPLEMENTED, details: 'UNIMPLEMENTED' });
  });
});
