import { isatty } from 'node:tty';
import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';
import type { Clock } from '../clock.ts';
import type { Metrics } from '../metrics.ts';
import type { LogLevel } from './log-levels.ts';
import { prettyLine } from './pretty-line.ts';
import { processOutput } from './process-output.ts';
import { recentLines } from './recent-lines.ts';

export type { Logger };

const STDOUT = 1;

/**
 * A logger of one JSON object per line, by default to stdout: if that is a terminal, its lines are formatted for
 * people. Errors have the key `err`.
 */
export function createLogger({
  level,
  service,
  destination,
}: {
  level: LogLevel;
  service: string;
  destination?: DestinationStream;
}): Logger {
  const options = {
    level,
    base: { service },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  if (destination !== undefined) return pino(options, destination);
  const isTerminal = isatty(STDOUT);
  const isColoured = (process.env.NO_COLOR ?? '') === '';
  const shown = (line: string): string => (isTerminal ? prettyLine(line, { isColoured }) : line);
  processOutput.describeLoss = (loss) => {
    const lines: string[] = [];
    const writer = pino(options, { write: (line) => lines.push(line) });
    writer.error(loss, 'lines of this log were lost: it could not be written');
    return lines.map(shown).join('');
  };
  return pino(options, {
    write: (line) => {
      recentLines.add(line);
      processOutput.write(shown(line));
    },
  });
}

/** Registers the number of lines that could not be written. */
export function registerLogMetrics(metrics: Metrics): void {
  metrics.counter('spanmesh_log_lines_lost_total', 'Lines that the log could not take.', () => processOutput.lost);
}

/** Keys that a Throttle remembers: further keys within one interval are only counted. */
const MAX_THROTTLE_KEYS = 1024;

interface Throttled {
  until: number;
  suppressed: number;
}

/**
 * Admits the same trouble into the log once in an interval. The table is limited: when it is full of keys whose
 * interval is not over, new keys are suppressed, so that peers cannot flood the log with made-up keys either.
 */
export class Throttle {
  readonly #intervalMs: number;
  readonly #clock: Clock;
  /** Keys in the order in which they were last admitted, so the first is the first to expire. */
  readonly #keys = new Map<string, Throttled>();
  #unkeyed = 0;

  constructor({ intervalMs }: { intervalMs: number }, { clock }: { clock: Clock }) {
    this.#intervalMs = intervalMs;
    this.#clock = clock;
  }

  /**
   * `log`: whether this key may be logged now; `suppressed`: how many times since the last admission something was held
   * back (this key, and keys that found the table full). It is 0 while `log` is false.
   */
  admit(key: string): { log: boolean; suppressed: number } {
    const now = this.#clock.now();
    const known = this.#keys.get(key);
    if (known !== undefined && now < known.until) {
      known.suppressed++;
      return { log: false, suppressed: 0 };
    }
    if (known === undefined && this.#keys.size >= MAX_THROTTLE_KEYS) {
      const [oldest, entry] = this.#keys.entries().next().value!;
      if (now < entry.until) {
        this.#unkeyed++;
        return { log: false, suppressed: 0 };
      }
      this.#unkeyed += entry.suppressed;
      this.#keys.delete(oldest);
    }
    const suppressed = (known?.suppressed ?? 0) + this.#unkeyed;
    this.#unkeyed = 0;
    this.#keys.delete(key);
    this.#keys.set(key, { until: now + this.#intervalMs, suppressed: 0 });
    return { log: true, suppressed };
  }
}
