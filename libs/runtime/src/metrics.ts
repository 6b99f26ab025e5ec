import { Counter, collectDefaultMetrics, Gauge, Registry } from '@prometheus-io/client';
import { Distribution } from './distribution.ts';

/** Most values of one label of a metric; further ones are summed up under `other`, so that a scrape stays small. */
export const MAX_LABEL_VALUES = 64;
const OVERFLOW_LABEL = 'other';

/** Time between two measurements of a turn of the event loop, ms. */
const TURN_LOOKS_MS = 20;
const TURNS = {
  name: 'spanmesh_turn_seconds',
  help: 'How long others had to wait for a turn of the event loop, looked at fifty times a second.',
  buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
};

/**
 * Metrics of the library that are left out: gauges with the ending `_total`, which belongs to counters, and others that
 * have their type in their name.
 */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
  'nodejs_eventloop_utilization_histogram',
  'nodejs_eventloop_utilization_summary',
];

/** Reads a metric when it is scraped: the hot path only keeps a plain number field. */
export type ReadNumber = () => number;
/** Reads several values, by the value of the metric's one label. */
export type ReadLabelled = () => Readonly<Record<string, number>>;

/** One of several counts of a metric, with its labels. */
export interface Counted {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/**
 * The metrics of a process, in the text format of Prometheus. Names include their unit and begin with `spanmesh_`. An
 * exception of a `read` makes the scrape fail.
 */
export class Metrics {
  readonly #registry = new Registry();
  /**
   * The text of each histogram, by name. The library's own histograms are not used: they look up a map of objects at
   * each observation.
   */
  readonly #histograms = new Map<string, () => string>();

  /** `processMetrics`: whether to include those of Node itself (heap, event loop lag, open handles). */
  constructor({ processMetrics = false }: { processMetrics?: boolean } = {}) {
    if (processMetrics) {
      collectDefaultMetrics({ register: this.#registry });
      this.#measureTurns();
      for (const name of MISNAMED) this.#registry.removeSingleMetric(name);
    }
  }

  /** A number that only grows (until the process ends); its name ends with `_total`. */
  counter(name: string, help: string, read: ReadNumber): void;
  counter(name: string, help: string, read: ReadLabelled, label: string): void;
  counter(name: string, help: string, read: ReadNumber | ReadLabelled, label?: string): void {
    new Counter({
      name,
      help,
      labelNames: label === undefined ? [] : [label],
      registers: [this.#registry],
      collect() {
        this.reset();
        setAll(read(), label, (labels, value) => this.inc(labels, value));
      },
    });
  }

  /** A number that goes up and down. */
  gauge(name: string, help: string, read: ReadNumber): void;
  gauge(name: string, help: string, read: ReadLabelled, label: string): void;
  gauge(name: string, help: string, read: ReadNumber | ReadLabelled, label?: string): void {
    new Gauge({
      name,
      help,
      labelNames: label === undefined ? [] : [label],
      registers: [this.#registry],
      collect() {
        this.reset();
        setAll(read(), label, (labels, value) => this.set(labels, value));
      },
    });
  }

  /** Always 1: the information is in the labels. */
  info(name: string, help: string, labels: Readonly<Record<string, string>>): void {
    new Gauge({ name, help, labelNames: Object.keys(labels), registers: [this.#registry] }).set({ ...labels }, 1);
  }

  /**
   * A counter with several labels, with the combinations that `read` returns: the code that counts must limit their
   * number.
   */
  counters(name: string, help: string, labels: readonly string[], read: () => Iterable<Counted>): void {
    new Counter({
      name,
      help,
      labelNames: [...labels],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { labels, value } of read()) this.inc({ ...labels }, value);
      },
    });
  }

  /**
   * A histogram: one distribution, or several by the value of the one `label`, whose number must be limited likewise.
   */
  histogram(name: string, help: string, read: Distribution): void;
  histogram(name: string, help: string, read: () => Iterable<readonly [string, Distribution]>, label: string): void;
  histogram(
    name: string,
    help: string,
    read: Distribution | (() => Iterable<readonly [string, Distribution]>),
    label?: string,
  ): void {
    if (this.#histograms.has(name)) throw new Error(`There is already a metric ${name}.`);
    const all = typeof read === 'function' ? read : () => [['', read] as const];
    this.#histograms.set(name, () => histogramText(name, help, all(), label));
  }

  /** Measures turns of the event loop: a timer that is late has waited for a turn at least as long as the delay. */
  #measureTurns(): void {
    const { name, help, buckets } = TURNS;
    const turns = new Distribution(buckets);
    this.histogram(name, help, turns);
    let due = performance.now() + TURN_LOOKS_MS;
    setInterval(() => {
      const now = performance.now();
      turns.observe(Math.max(0, now - due) / 1000);
      due = now + TURN_LOOKS_MS;
    }, TURN_LOOKS_MS).unref();
  }

  /** The text of a scrape. */
  async text(): Promise<string> {
    const text = await this.#registry.metrics();
    return [text.trimEnd(), ...[...this.#histograms.values()].map((read) => read())]
      .join('\n\n')
      .concat('\n')
      .trimStart();
  }

  /** The media type of text(). */
  get contentType(): string {
    return this.#registry.contentType;
  }
}

function setAll(
  read: number | Readonly<Record<string, number>>,
  label: string | undefined,
  set: (labels: Record<string, string>, value: number) => void,
): void {
  if (typeof read === 'number' || label === undefined) {
    if (typeof read === 'number') set({}, read);
    return;
  }
  let values = 0;
  let overflow = 0;
  let overflowed = false;
  for (const [name, value] of Object.entries(read)) {
    if (values < MAX_LABEL_VALUES) {
      values++;
      set({ [label]: name }, value);
    } else {
      overflowed = true;
      overflow += value;
    }
  }
  if (overflowed) {
    set({ [label]: OVERFLOW_LABEL }, overflow);
  }
}

/** A histogram in the text format. `le` counts all values up to a bound. */
function histogramText(
  name: string,
  help: string,
  all: Iterable<readonly [string, Distribution]>,
  label: string | undefined,
): string {
  const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} histogram`];
  for (const [value, { bounds, counts, sum, count }] of all) {
    const own = label === undefined ? '' : `${label}="${escaped(value)}"`;
    let below = 0;
    counts.forEach((some, at) => {
      below += some;
      lines.push(`${name}_bucket{${own === '' ? '' : `${own},`}le="${bounds[at] ?? '+Inf'}"} ${below}`);
    });
    const labels = own === '' ? '' : `{${own}}`;
    lines.push(`${name}_sum${labels} ${sum}`, `${name}_count${labels} ${count}`);
  }
  return lines.join('\n');
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
