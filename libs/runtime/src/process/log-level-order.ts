import type { ProcessInfo, SetLogLevelRequest } from '@spanmesh/proto/v1/process';
import { DEFAULT_LOG_LEVEL_MS, MAX_LOG_LEVEL_MS } from '../log/log-level-control.ts';
import { LOG_LEVELS, type LogLevel } from '../log/log-levels.ts';

/** Longest name of a service or a process that is looked for, and longest account of who orders, characters. */
export const MAX_NAME_CHARS = 300;

/** An operator's order, checked. */
export interface LogLevelOrder {
  /** null: back to what the settings say. */
  readonly level: LogLevel | null;
  readonly forMs: number;
  /** Empty: of all. */
  readonly service: string;
  /** An id, a gateway's name or id, or a host; empty: all. */
  readonly process: string;
}

/** A sentence instead of an order: why it is none. */
export function readLogLevelOrder({ level, service, process, durationMs }: SetLogLevelRequest): LogLevelOrder | string {
  const known = LOG_LEVELS.find((one) => one === level);
  if (known === undefined && level !== '') return `There is no level like this: ${LOG_LEVELS.join(', ')}.`;
  if (durationMs > MAX_LOG_LEVEL_MS) {
    const hours = MAX_LOG_LEVEL_MS / 3_600_000;
    return `A level lasts ${hours} hours at most: what is meant to stay belongs into SPANMESH_LOG_LEVEL.`;
  }
  if (service.length > MAX_NAME_CHARS || process.length > MAX_NAME_CHARS) {
    return `A name has at most ${MAX_NAME_CHARS} characters.`;
  }
  return { level: known ?? null, forMs: durationMs || DEFAULT_LOG_LEVEL_MS, service, process };
}

/** Whether a text names this process, or, empty, all. */
export function isCalled({ id, gateway, host }: ProcessInfo, text: string): boolean {
  return text === '' || [id, host, gateway, gatewayName(gateway)].includes(text);
}

/** Whether an order is meant for this process. */
export function isMeant(info: ProcessInfo, { service, process }: Pick<LogLevelOrder, 'service' | 'process'>): boolean {
  return (service === '' || service === info.service) && isCalled(info, process);
}

/** `<name>` of the id `<name>.<boot>`. */
export function gatewayName(id: string): string {
  return id.replace(/\.[^.]*$/, '');
}
