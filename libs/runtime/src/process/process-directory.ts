import { InspectResponse, ProcessInfo } from '@spanmesh/proto/v1/process';
import { v4 as uuid } from 'uuid';
import * as z from 'zod';
import type { Bus, Subscription } from '../bus/bus.ts';
import { PROCESS_QUESTIONS, processAnswers } from '../bus/bus-names.ts';
import type { Clock } from '../clock.ts';

/** How long to wait for an answer after the one before, ms; the number of answers is unknown. */
export const QUIET_MS = 700;
/** Longest wait for all answers together, ms. */
export const LONGEST_MS = 3000;
/**
 * Processes in one answer: the largest installation has fewer, and others who may write to NATS must not fill our
 * memory.
 */
export const MAX_PROCESSES = 5000;
/** Largest answer that is decoded, bytes. */
export const MAX_PROCESS_INFO_BYTES = 8192;

/** A question on the bus. `from`: id of the process that asks. */
const question = z.object({
  id: z.uuid(),
  from: z.string().max(500),
  // In earlier versions an order about the log level could be here, and their processes expect the field. It is always
  // null: on NATS nobody can tell who gives an order.
  order: z.null(),
  /**
   * If present, a report is wanted, of the process that this names; empty: of all. Processes of earlier versions ignore
   * it.
   */
  inspect: z.string().max(300).optional(),
});

/** Largest report that is decoded, bytes: what NATS takes in one message, less its envelope. */
export const MAX_REPORT_BYTES = 900 * 1024;
/** Most reports in one answer. */
export const MAX_REPORTS = 200;

export interface ProcessDirectoryDependencies {
  readonly bus: Bus;
  readonly clock: Clock;
  /** The present state of this process. */
  readonly self: () => ProcessInfo;
  /** The report of this process, if the text names it; null: it does not. Default: there are no reports. */
  readonly report?: (process: string) => Promise<InspectResponse> | null;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Which processes there are: they are asked over the bus, and each answers for itself. No table is kept: a process that
 * does not answer is not listed.
 */
export class ProcessDirectory {
  readonly #deps: ProcessDirectoryDependencies;
  #subscription: Subscription | null = null;

  constructor(deps: ProcessDirectoryDependencies) {
    this.#deps = deps;
  }

  start(): void {
    this.#subscription = this.#deps.bus.subscribe(PROCESS_QUESTIONS, (_, data) => this.#answer(data));
  }

  stop(): void {
    this.#subscription?.unsubscribe();
    this.#subscription = null;
  }

  /** Asks all processes. `alone`: only this one, without waiting. Sorted by service and id, this process first. */
  async ask({ alone }: { readonly alone: boolean }): Promise<ProcessInfo[]> {
    const own = this.#deps.self();
    const found = new Map([[own.id, own]]);
    if (!alone) await this.#gather(own.id, found);
    return [...found.values()].sort((a, b) => compare(a.service, b.service) || compare(a.id, b.id));
  }

  /**
   * Passes on the reports of processes as they arrive, this process's first. `process`: only of this one; empty: of
   * all.
   */
  async inspect(
    process: string,
    { alone, take }: { readonly alone: boolean; readonly take: (report: InspectResponse) => void },
  ): Promise<void> {
    const own = await this.#deps.report?.(process);
    if (own !== undefined && own !== null) take(own);
    if (alone) return;
    const known = new Set([this.#deps.self().id]);
    await this.#question({ inspect: process }, (data) => {
      const report = decodeReport(data);
      const id = report?.process?.id;
      if (report === null || id === undefined || known.has(id) || known.size > MAX_REPORTS) return false;
      known.add(id);
      take(report);
      return true;
    });
  }

  #gather(own: string, found: Map<string, ProcessInfo>): Promise<void> {
    return this.#question({}, (data) => {
      const info = decodeInfo(data);
      if (info === null || info.id === own || found.size >= MAX_PROCESSES) return false;
      found.set(info.id, info);
      return true;
    });
  }

  /**
   * Asks the other processes, and waits until none has answered for a while. `takes` tells whether an answer counts.
   */
  #question(asked: { readonly inspect?: string }, takes: (data: Uint8Array) => boolean): Promise<void> {
    const { bus, clock, self } = this.#deps;
    const own = self().id;
    const id = uuid();
    return new Promise((resolve) => {
      const done = (): void => {
        subscription.unsubscribe();
        quiet.cancel();
        longest.cancel();
        resolve();
      };
      const subscription = bus.subscribe(processAnswers(id), (_, data) => {
        if (!takes(data)) return;
        quiet.cancel();
        quiet = clock.after(QUIET_MS, done);
      });
      let quiet = clock.after(QUIET_MS, done);
      const longest = clock.after(LONGEST_MS, done);
      bus.publish(PROCESS_QUESTIONS, encoder.encode(JSON.stringify({ id, from: own, order: null, ...asked })));
    });
  }

  /** Answers the question of another process; our own are answered by `ask` itself. */
  #answer(data: Uint8Array): void {
    const asked = decodeQuestion(data);
    const { bus, self } = this.#deps;
    if (asked === null || asked.from === self().id) return;
    if (asked.inspect !== undefined) {
      this.#report(asked.id, asked.inspect);
      return;
    }
    bus.publish(processAnswers(asked.id), ProcessInfo.encode(self()).finish());
  }

  /**
   * Sends a report. If it is too long, or cannot be made, nothing is sent: the caller sees which processes have not
   * answered.
   */
  #report(question: string, process: string): void {
    this.#deps.report?.(process)?.then(
      (report) => {
        const data = InspectResponse.encode(report).finish();
        if (data.length <= MAX_REPORT_BYTES) this.#deps.bus.publish(processAnswers(question), data);
      },
      () => {},
    );
  }
}

function decodeReport(data: Uint8Array): InspectResponse | null {
  if (data.length > MAX_REPORT_BYTES) return null;
  try {
    return InspectResponse.decode(data);
  } catch {
    return null;
  }
}

function decodeQuestion(data: Uint8Array): z.infer<typeof question> | null {
  try {
    return question.parse(JSON.parse(decoder.decode(data)));
  } catch {
    return null;
  }
}

function decodeInfo(data: Uint8Array): ProcessInfo | null {
  if (data.length > MAX_PROCESS_INFO_BYTES) return null;
  try {
    return ProcessInfo.decode(data);
  } catch {
    return null;
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
