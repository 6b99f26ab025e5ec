import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Values of one label of one metric beyond this number are summed up under `other`: a scrape stays bounded. */
export const MAX_LABEL_VALUES = 64;
const OVERFLOW_LABEL = 'other';

/** Reads a metric when it is scraped: the hot path only keeps a plain number field. */
export type ReadNumber = () => number;
/** The same for several values, by the value of the metric's one label. */
export type ReadLabelled = () => Record<string, number>;

/**
 * The metrics of a process, in the text format of Prometheus. Names carry their unit and start with `spanmesh_`.
 * What a `read` throws makes the scrape fail.
 */
export class Metrics {
  readonly #registry = new Registry();

  /** `processMetrics`: also those of Node itself (heap, event loop lag, open handles). */
  constructor({ processMetrics = false }: { processMetrics?: boolean } = {}) {
    if (processMetrics) {
      collectDefaultMetrics({ register: this.#registry });
    }
  }

  /** Something that only grows (until the process ends); `_total` at the end of its name. */
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

  /** Something that goes up and down. */
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

  /** A distribution, observed as it happens; not for a path that runs per message. `buckets` are upper bounds. */
  histogram(name: string, help: string, buckets: readonly number[]): { observe(value: number): void } {
    return new Histogram({ name, help, buckets: [...buckets], registers: [this.#registry] });
  }

  /** What a scrape gets. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** The media type of text(). */
  get contentType(): string {
    return this.#registry.contentType;
  }
}

function setAll(
  read: number | Record<string, number>,
  label: string | undefined,
  set: (labels: Record<string, string>, value: number) => void,
): void {
  if (typeof read === 'number') {
    set({}, read);
    return;
  }
  let values = 0;
  let overflow = 0;
  let overflowed = false;
  for (const [name, value] of Object.entries(read)) {
    if (values < MAX_LABEL_VALUES) {
      values++;
      set({ [label!]: name }, value);
    } else {
      overflowed = true;
      overflow += value;
    }
  }
  if (overflowed) {
    set({ [label!]: OVERFLOW_LABEL }, overflow);
  }
}
