import {
  type Attributes,
  type Counter,
  createNoopMeter,
  DiagLogLevel,
  diag,
  type Meter,
  type MeterProvider,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { detectResources, resourceAttributesEnvDetector, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { systemClock } from '../clock.ts';
import { type Logger, Throttle } from '../log/logger.ts';
import { VERSION } from '../version.ts';
import type { Step, StepKind, StepOptions, Tracer } from './step.ts';
import { contextOf, partsOf } from './trace-context.ts';
import type { TraceCounts } from './trace-counts.ts';
import type { SamplerSettings, TraceSettings } from './trace-settings.ts';

// Only tracing.ts loads this file, and only if traces are wanted: no other file imports OpenTelemetry.

const KINDS: Readonly<Record<StepKind, SpanKind>> = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  internal: SpanKind.INTERNAL,
};
/** Longest text that is recorded, characters: labels and names come from peers. */
const MAX_TEXT = 256;
/** How long a process that stops waits until its last traces are taken, ms. */
const STOP_MS = 2000;
/** The same trouble is logged once in this time, ms. */
const LOG_INTERVAL_MS = 60_000;

/** The library's own counter of processed steps, and its name for the reason why steps were not sent. */
const PROCESSED = 'otel.sdk.processor.span.processed';
const WHY = 'error.type';
const QUEUE_FULL = 'queue_full';

export interface TracerDependencies {
  readonly logger: Logger;
  /** Where the fate of each step is counted. */
  readonly counts: TraceCounts;
}

/** A tracer that sends to the collector in the settings. */
export function openTracer(settings: TraceSettings, { logger, counts }: TracerDependencies): Tracer {
  logTrouble(logger);
  const fromEnv = detectResources({ detectors: [resourceAttributesEnvDetector] });
  const own = resourceFromAttributes({ 'service.name': settings.service, 'service.version': VERSION });
  const { url } = settings;
  const exporter = new OTLPTraceExporter({ url });
  const provider = new TracerProvider({
    resource: fromEnv.merge(own),
    sampler: samplerOf(settings.sampler),
    spanLimits: { attributeValueLengthLimit: MAX_TEXT },
    spanProcessors: [new BatchSpanProcessor({ exporter, ...settings.batch, selfObsMeterProvider: meterInto(counts) })],
  });
  const tracer = provider.getTracer('spanmesh', VERSION);
  return {
    begin(name: string, { parent = null, kind = 'internal', attributes = {} }: StepOptions = {}): Step {
      const span = tracer.startSpan(name, { kind: KINDS[kind], attributes: { ...attributes } }, contextUnder(parent));
      const { traceId, spanId: stepId, traceFlags: flags } = span.spanContext();
      return {
        context: contextOf({ traceId, stepId, flags }),
        note: (what, noted = {}) => void span.addEvent(what, { ...noted } satisfies Attributes),
        end: (failure) => {
          if (failure !== undefined && span.isRecording()) {
            span.setStatus({ code: SpanStatusCode.ERROR, message: failure.slice(0, MAX_TEXT) });
          }
          if (span.isRecording()) span.end();
        },
      };
    },
    stop: async () => {
      const late = Promise.withResolvers<void>();
      const timer = systemClock.after(STOP_MS, late.resolve);
      await Promise.race([provider.shutdown().catch(() => {}), late.promise]);
      timer.cancel();
    },
  };
}

/**
 * The library reports dropped steps only to meters. It gets a meter of which one counter counts; the others do nothing.
 */
function meterInto(counts: TraceCounts): MeterProvider {
  const processed: Counter = {
    add: (steps, { [WHY]: why } = {}) => {
      if (why === undefined) counts.sent += steps;
      else if (why === QUEUE_FULL) counts.queueFull += steps;
      else counts.notTaken += steps;
    },
  };
  const none = createNoopMeter();
  const meter = Object.create(none) as Meter;
  meter.createCounter = (name, options) => (name === PROCESSED ? processed : none.createCounter(name, options));
  return { getMeter: () => meter };
}

function contextUnder(parent: Uint8Array | null) {
  if (parent === null) return ROOT_CONTEXT;
  const { traceId, stepId: spanId, flags: traceFlags } = partsOf(parent);
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

function samplerOf({ kind, parentBased, ratio }: SamplerSettings): Sampler {
  const root =
    kind === 'always_on'
      ? new AlwaysOnSampler()
      : kind === 'always_off'
        ? new AlwaysOffSampler()
        : new TraceIdRatioBasedSampler(ratio);
  return parentBased ? new ParentBasedSampler({ root }) : root;
}

/** Logs the library's messages about collectors that do not answer; by default the library prints none. */
function logTrouble(logger: Logger): void {
  const throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock: systemClock });
  const say = (...args: unknown[]): void => {
    const { log, suppressed } = throttle.admit('traces');
    if (log) logger.warn({ detail: args.map(plain).join(' ').slice(0, 1000), suppressed }, 'traces cannot be sent');
  };
  const silent = (): void => {};
  diag.setLogger(
    { error: say, warn: say, info: silent, debug: silent, verbose: silent },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}

/** The message of an error, which the library reports as JSON with its stack. */
function plain(arg: unknown): string {
  const text = String(arg);
  if (!text.startsWith('{')) return text;
  try {
    const { message } = JSON.parse(text) as { readonly message?: unknown };
    return typeof message === 'string' ? message : text;
  } catch {
    return text;
  }
}
