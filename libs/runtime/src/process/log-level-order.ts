import type { ProcessInfo, SetLogLevelRequest } from '@spanmesh/proto/v1/process';
import { DEFAULT_LOG_LEVEL_MS, MAX_LOG_LEVEL_MS } from '../log/log-level-control.ts';
import { LOG_LEVELS, type LogLevel } from '../log/log-levels.ts';

/** Longest name of a service or a process in an order, and longest name of the operator who gives it, characters. */
export const MAX_NAME_CHARS = 300;

/** An operator's order, after its check. */
export interface LogLevelOrder {
  /** null: return to the level of the settings. */
  readonly level: LogLevel | null;
  readonly forMs: number;
  /** Name of a service; empty: all services. */
  readonly service: string;
  /** An id, a gateway's name or id, or a host; empty: all. */
  readonly process: string;
}

/** Checks an order; returns a sentence if it is not valid. */
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

/** Whether a text names this process; the empty text names all. */
export function isCalled({ id, gateway, host }: ProcessInfo, text: string): boolean {
  return text === '' || [id, host, gateway, gatewayName(gateway)].includes(text);
}

/** Whether an order applies to this process. */
export function isMeant(info: ProcessInfo, { service, process }: Pick<LogLevelOrder, 'service' | 'process'>): boolean {
  return (service === '' || service === info.service) && isCalled(info, process);
}

/** The name in a gateway's id `<name>.<boot>`. */
export function gatewayName(id: string): string {
  return id.replace(/\.[^.]*$/, '');
}
