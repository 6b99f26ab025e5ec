import { ProcessInfo } from '@spanmesh/proto/v1/process';
import { v4 as uuid } from 'uuid';
import { z } from 'zod';
import type { Bus, Subscription } from '../bus/bus.ts';
import { PROCESS_QUESTIONS, processAnswers } from '../bus/bus-names.ts';
import type { Clock } from '../clock.ts';
import { MAX_LOG_LEVEL_MS } from '../log/log-level-control.ts';
import { LOG_LEVELS } from '../log/log-levels.ts';

/** An answer is waited for as long after the one before, ms; nobody knows how many there will be. */
export const QUIET_MS = 700;
/** And no longer than this altogether, ms. */
export const LONGEST_MS = 3000;
/** Processes in one answer: the largest installation has fewer, and whoever may write to NATS must not fill our memory. */
export const MAX_PROCESSES = 5000;
/** Largest answer that is looked at, bytes. */
export const MAX_PROCESS_INFO_BYTES = 8192;

/** What processes are asked to do, besides saying who they are. */
const order = z.object({
  /** null: back to what the settings say. */
  level: z.enum(LOG_LEVELS).nullable(),
  forMs: z.int().positive().max(MAX_LOG_LEVEL_MS),
  by: z.string().max(300),
  service: z.string().max(100),
  process: z.string().max(300),
});
/** `from`: id of the process that asks. */
const question = z.object({ id: z.uuid(), from: z.string().max(500), order: order.nullable() });

export type LogLevelOrder = z.infer<typeof order>;

export interface ProcessDirectoryDependencies {
  readonly bus: Bus;
  readonly clock: Clock;
  /** This process as it is now. */
  readonly self: () => ProcessInfo;
  /** Does what is ordered, if it is meant for this process: true. */
  readonly obey: (order: LogLevelOrder) => boolean;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Which processes there are, asked over the bus: each answers for itself. No table is kept: what does not answer is not there. With
 * an order only those answer that it was meant for, once they have obeyed.
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

  /** `alone`: only this process is asked, and nobody is waited for. In order of service, id. */
  async ask(order: LogLevelOrder | null, { alone }: { readonly alone: boolean }): Promise<ProcessInfo[]> {
    const { self, obey } = this.#deps;
    const found = new Map<string, ProcessInfo>();
    const isMeant = order === null || obey(order);
    if (isMeant) found.set(self().id, self());
    if (!alone) await this.#gather(order, found);
    return [...found.values()].sort((a, b) => compare(a.service, b.service) || compare(a.id, b.id));
  }

  #gather(order: LogLevelOrder | null, found: Map<string, ProcessInfo>): Promise<void> {
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
        const info = decodeInfo(data);
        if (info === null || info.id === own || found.size >= MAX_PROCESSES) return;
        found.set(info.id, info);
        quiet.cancel();
        quiet = clock.after(QUIET_MS, done);
      });
      let quiet = clock.after(QUIET_MS, done);
      const longest = clock.after(LONGEST_MS, done);
      bus.publish(PROCESS_QUESTIONS, encoder.encode(JSON.stringify({ id, from: own, order })));
    });
  }

  /** Ours are answered by `ask` itself: what is asked must not be done twice. */
  #answer(data: Uint8Array): void {
    const asked = decodeQuestion(data);
    const { bus, self, obey } = this.#deps;
    if (asked === null || asked.from === self().id) return;
    if (asked.order !== null && !obey(asked.order)) return;
    bus.publish(processAnswers(asked.id), ProcessInfo.encode(self()).finish());
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
