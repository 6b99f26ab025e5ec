import type { Logger } from '../log/logger.ts';
import type { Tracer } from './step.ts';
import { TraceCounts } from './trace-counts.ts';
import { readTraceSettings } from './trace-settings.ts';

export interface TracingOptions {
  /** Name of the service in logs: `topology`. */
  readonly service: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Traces of the control plane, if the variables of OpenTelemetry say where to send them (docs/traces.md). Otherwise
 * there is no tracer, none of its code is loaded, and a call costs only one check of `tracer`.
 */
export class Tracing {
  /** null: no traces are wanted. */
  tracer: Tracer | null = null;
  readonly counts = new TraceCounts();

  /** Loads the code that sends traces, if they are wanted. If it fails the process runs without traces. */
  async start({ service, env }: TracingOptions, { logger }: { readonly logger: Logger }): Promise<void> {
    const settings = readTraceSettings(env, service);
    if (settings.kind === 'off') {
      if (settings.why !== null) logger.warn({ why: settings.why }, 'no traces are sent');
      return;
    }
    const { openTracer } = await import('./open-telemetry.ts');
    this.tracer = openTracer(settings, { logger, counts: this.counts });
    logger.info({ to: settings.url, as: settings.service, sampler: settings.sampler.kind }, 'traces are sent');
  }

  async stop(): Promise<void> {
    const { tracer } = this;
    this.tracer = null;
    await tracer?.stop();
  }
}

/** No traces: the default. */
export const NO_TRACING: Pick<Tracing, 'tracer' | 'counts'> = { tracer: null, counts: new TraceCounts() };
