import { InspectResponse, ProcessInfo } from '@spanmesh/proto/v1/process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Subscription } from '../bus/bus.ts';
import { PROCESS_QUESTIONS, processAnswers } from '../bus/bus-names.ts';
import { InProcessBus } from '../bus/in-process/in-process-bus.ts';
import { FakeClock } from '../fake-clock.ts';
import { advance, settle } from '../fake-time.fixture.ts';
import { ProcessDirectory } from './process-directory.ts';

// Written once more: a change of them must be noticed.
const LONGEST_MS = 3000;
const MAX_PROCESS_INFO_BYTES = 8192;
const MAX_PROCESSES = 5000;
const MAX_REPORT_BYTES = 900 * 1024;
const MAX_REPORTS = 200;
const QUIET_MS = 700;

const SELF = ProcessInfo.fromPartial({ id: 'self', service: 'topology' });

describe('processes that are asked over the bus', () => {
  let bus: InProcessBus;
  let clock: FakeClock;
  let directory: ProcessDirectory;
  let others: Subscription;
  /** The answers of the other processes. */
  let answers: Uint8Array[];
  /** The questions that they have received. */
  let questions: { id: string; from: string; inspect?: string }[];
  beforeEach(() => {
    bus = new InProcessBus({ onError: (error) => expect.unreachable(String(error)) });
    clock = new FakeClock();
    answers = [];
    questions = [];
    directory = new ProcessDirectory({ bus, clock, self: () => SELF });
    others = bus.subscribe(PROCESS_QUESTIONS, (_, data) => {
      const question = JSON.parse(new TextDecoder().decode(data));
      questions.push(question);
      for (const answer of answers) bus.publish(processAnswers(question.id), answer);
    });
  });
  afterEach(() => bus.close());

  const info = (more: Partial<ProcessInfo>) => ProcessInfo.encode(ProcessInfo.fromPartial(more)).finish();
  const report = (id: string, logLines: string[] = []) =>
    InspectResponse.encode(InspectResponse.fromPartial({ process: { id }, logLines })).finish();

  async function ask(): Promise<ProcessInfo[]> {
    const found = directory.ask({ alone: false });
    await settle();
    clock.advance(QUIET_MS);
    return found;
  }

  async function inspect(): Promise<string[]> {
    const ids: string[] = [];
    const done = directory.inspect('', { alone: false, take: ({ process }) => ids.push(process?.id ?? '') });
    await settle();
    clock.advance(QUIET_MS);
    await done;
    return ids;
  }

  it('are listed by service and id, each once, the asking process first', async () => {
    answers = ['b', 'a', 'self'].map((id) => info({ id, service: 'topology', host: 'other' }));
    answers.push(info({ id: 'c', service: 'link-gateway' }), answers[0]!);
    expect((await ask()).map(({ id, host }) => [id, host])).toEqual([
      ['c', ''],
      ['a', 'other'],
      ['b', 'other'],
      ['self', ''],
    ]);
  });

  it('are waited for as long as answers arrive, but at most three seconds', async () => {
    let overAt = Number.NaN;
    const found = directory.ask({ alone: false }).then((all) => {
      overAt = clock.now();
      return all;
    });
    await settle();
    // The last wait begins before the longest one ends.
    const answered = Math.floor(LONGEST_MS / (QUIET_MS - 1));
    for (let n = 0; n < answered; n++) {
      await advance(clock, QUIET_MS - 1);
      bus.publish(processAnswers(questions[0]!.id), info({ id: `p-${n}` }));
    }
    await advance(clock, LONGEST_MS);
    expect(overAt).toBe(LONGEST_MS);
    expect(await found).toHaveLength(1 + answered);
    expect(clock.pending).toBe(0);
  });

  it('are waited for 0.7 seconds after the last answer', async () => {
    let overAt = Number.NaN;
    const found = directory.ask({ alone: false }).then(() => {
      overAt = clock.now();
    });
    await advance(clock, 100);
    bus.publish(processAnswers(questions[0]!.id), info({ id: 'other' }));
    await advance(clock, LONGEST_MS);
    await found;
    expect(overAt).toBe(100 + QUIET_MS);
  });

  it('report for as long as reports arrive, but at most three seconds', async () => {
    const ids: string[] = [];
    let isOver = false;
    const done = directory
      .inspect('', { alone: false, take: ({ process }) => ids.push(process?.id ?? '') })
      .then(() => {
        isOver = true;
      });
    await settle();
    for (let ms = 0; ms < LONGEST_MS; ms += QUIET_MS / 2) {
      expect(isOver).toBe(false);
      bus.publish(processAnswers(questions[0]!.id), report(`p-${ms}`));
      await settle();
      clock.advance(QUIET_MS / 2);
      await settle();
    }
    await done;
    expect(ids).toHaveLength(Math.ceil(LONGEST_MS / (QUIET_MS / 2)));
    expect(clock.pending).toBe(0);
  });

  it('are not waited for any longer because one repeats its answer', async () => {
    const found = directory.ask({ alone: false });
    await settle();
    clock.advance(QUIET_MS - 1);
    bus.publish(processAnswers(questions[0]!.id), info({ id: 'self' }));
    await settle();
    clock.advance(1);
    expect(await found).toEqual([SELF]);
    expect(clock.pending).toBe(0);
  });

  // Limits: process/process-directory.ts MAX_PROCESSES
  it('are listed up to a number', async () => {
    answers = Array.from({ length: MAX_PROCESSES - 1 }, (_, i) => info({ id: `p-${i}` }));
    expect(await ask()).toHaveLength(MAX_PROCESSES);
    answers.push(info({ id: 'one more' }));
    const found = await ask();
    expect(found).toHaveLength(MAX_PROCESSES);
    expect(found.some(({ id }) => id === 'one more')).toBe(false);
  });

  // Limits: process/process-directory.ts MAX_PROCESS_INFO_BYTES
  it('may answer with a few kilobytes, and answers that cannot be decoded are ignored', async () => {
    const host = 'x'.repeat(MAX_PROCESS_INFO_BYTES - info({ id: 'large', host: 'x'.repeat(1000) }).length + 1000);
    const largest = info({ id: 'large', host });
    expect(largest).toHaveLength(MAX_PROCESS_INFO_BYTES);
    answers = [largest, info({ id: 'larger', host }), Buffer.from('no message')];
    expect((await ask()).map(({ id }) => id)).toEqual(['large', 'self']);
  });

  // Limits: process/process-directory.ts MAX_REPORTS
  it('report once each, up to a number', async () => {
    answers = Array.from({ length: MAX_REPORTS }, (_, i) => report(`p-${i}`));
    answers.push(answers[0]!, report(''), report('self'));
    expect(await inspect()).toHaveLength(MAX_REPORTS);
    answers.unshift(report('one more'));
    const ids = await inspect();
    expect([ids.length, ids[0], ids.includes(`p-${MAX_REPORTS - 1}`)]).toEqual([MAX_REPORTS, 'one more', false]);
  });

  // Limits: process/process-directory.ts MAX_REPORT_BYTES
  it('send and accept no report that is longer than the bus takes', async () => {
    const lines = (bytes: number) => ['x'.repeat(bytes - report('large', ['x'.repeat(20_000)]).length + 20_000)];
    const [largest, larger] = [lines(MAX_REPORT_BYTES), lines(MAX_REPORT_BYTES + 1)];
    expect(report('large', largest)).toHaveLength(MAX_REPORT_BYTES);
    answers = [report('large', largest), report('one by', larger)];
    expect(await inspect()).toEqual(['large']);

    let logLines = largest;
    const other = new ProcessDirectory({
      bus,
      clock,
      self: () => ProcessInfo.fromPartial({ id: 'other' }),
      report: async () => InspectResponse.fromPartial({ process: { id: 'large' }, logLines }),
    });
    other.start();
    answers = [];
    expect(await inspect()).toEqual(['large']);
    logLines = larger;
    expect(await inspect()).toEqual([]);
    other.stop();
    logLines = largest;
    expect(await inspect()).toEqual([]);
  });

  it('answer others, not themselves, and ignore what is no question', async () => {
    others.unsubscribe();
    directory.start();
    const heard: string[] = [];
    const id = '00000000-0000-4000-8000-000000000001';
    bus.subscribe(processAnswers(id), (_, data) => heard.push(ProcessInfo.decode(data).id));
    const question = (more: object) =>
      bus.publish(PROCESS_QUESTIONS, Buffer.from(JSON.stringify({ id, from: 'other', order: null, ...more })));
    question({ from: 'self' });
    question({ order: { level: 'debug' } });
    question({ id: 'x' });
    bus.publish(PROCESS_QUESTIONS, Buffer.from('{'));
    await settle();
    expect(heard).toEqual([]);
    question({});
    await settle();
    expect(heard).toEqual(['self']);
  });
});
