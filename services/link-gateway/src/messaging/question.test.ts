import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
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
    { clock, onOver: () => over++, onLeft: () => {} },
  );
  return { clock, calls, question, over: () => over };
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
});
