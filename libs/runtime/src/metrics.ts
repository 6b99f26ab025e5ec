import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Values of one label of one metric beyond this number are summed up under `other`: a scrape stays bounded. */
export const MAX_LABEL_VALUES = 64;
const OVERFLOW_LABEL = 'other';

/** Milliseconds between two looks at how long a turn of the event loop has taken. */
const TURN_LOOKS_MS = 20;
const TURNS = {
  name: 'spanmesh_turn_seconds',
  help: 'How long others had to wait for a turn of the event loop, looked at fifty times a second.',
  buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
};

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
      this.#measureTurns();
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

  /** A timer that is late by so much has waited for a turn of the event loop of at least that length. */
  #measureTurns(): void {
    const { name, help, buckets } = TURNS;
    const turns = this.histogram(name, help, buckets);
    let due = performance.now() + TURN_LOOKS_MS;
    setInterval(() => {
      const now = performance.now();
      turns.observe(Math.max(0, now - due) / 1000);
      due = now + TURN_LOOKS_MS;
    }, TURN_LOOKS_MS).unref();
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
