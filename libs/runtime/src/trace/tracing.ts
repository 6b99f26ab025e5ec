import type { Logger } from '../log/logger.ts';
import { readTraceSettings } from './trace-settings.ts';

/** What is noted of a step. */
export type StepAttributes = Readonly<Record<string, string | number | boolean>>;

/** What a step is to whoever looks on: the answering or the asking side of a call, or neither. */
export type StepKind = 'server' | 'client' | 'internal';

export interface StepOptions {
  /** The context of the step that this one is a part of; null: a trace begins. */
  readonly parent?: Uint8Array | null;
  readonly kind?: StepKind;
  readonly attributes?: StepAttributes;
}

/** A part of a trace, in one process, from `begin` to `end`. (OpenTelemetry calls it a span, which is something else here.) */
export interface Step {
  /** For those who go on with it, in another process or in this one: TRACE_CONTEXT_BYTES. */
  readonly context: Buffer;
  /** Something has happened in it. */
  note(what: string, attributes?: StepAttributes): void;
  /** It is over. `failure`: why it did not come to what it should. Harmless the second time. */
  end(failure?: string): void;
}

export interface Tracer {
  begin(name: string, options?: StepOptions): Step;
  /** Sends what is left. */
  stop(): Promise<void>;
}

export interface TracingOptions {
  /** As in logs: `topology`. */
  readonly service: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Traces of the control plane, for whoever has set the variables of OpenTelemetry that say where to (docs/traces.md). Otherwise
 * there is no tracer, nothing of it is loaded, and nobody pays more than a look at `tracer`.
 */
export class Tracing {
  /** null: nobody wants traces. */
  tracer: Tracer | null = null;

  /** Loads what sends traces, if somebody wants them. A process runs without traces rather than not at all. */
  async start({ service, env }: TracingOptions, { logger }: { readonly logger: Logger }): Promise<void> {
    const settings = readTraceSettings(env, service);
    if (settings.kind === 'off') {
      if (settings.why !== null) logger.warn({ why: settings.why }, 'no traces are sent');
      return;
    }
    const { openTracer } = await import('./open-telemetry.ts');
    this.tracer = openTracer(settings, { logger });
    logger.info({ to: settings.url, as: settings.service, sampler: settings.sampler.kind }, 'traces are sent');
  }

  async stop(): Promise<void> {
    const { tracer } = this;
    this.tracer = null;
    await tracer?.stop();
  }
}

/** For whoever is given no other: nobody wants traces. */
export const NO_TRACING: Pick<Tracing, 'tracer'> = { tracer: null };
