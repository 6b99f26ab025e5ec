/**
 * Which traces are kept. `parentBased`: the process that began a trace decides; for a trace that begins here, `kind`
 * does.
 */
export interface SamplerSettings {
  readonly kind: 'always_on' | 'always_off' | 'traceidratio';
  readonly parentBased: boolean;
  /** Part of the traces that `traceidratio` keeps, 0 to 1. */
  readonly ratio: number;
}

/**
 * Where traces are sent, and how. The exporter itself reads the settings of its transport (headers, certificates,
 * compression).
 */
export interface TraceSettings {
  readonly kind: 'on';
  readonly url: string;
  /** The name of this process's service in traces, if OTEL_RESOURCE_ATTRIBUTES does not set it. */
  readonly service: string;
  readonly sampler: SamplerSettings;
  readonly batch: BatchSettings;
}

export interface BatchSettings {
  /** Most steps that wait to be sent; further ones are dropped. */
  readonly maxQueueSize: number;
  /** Most steps that are sent in one request. */
  readonly maxExportBatchSize: number;
  /** Time between two requests, ms. */
  readonly scheduledDelayMillis: number;
  readonly exportTimeoutMillis: number;
}

export interface NoTraces {
  readonly kind: 'off';
  /** What is wrong with the settings; null: no traces were asked for. */
  readonly why: string | null;
}

type Env = Readonly<Record<string, string | undefined>>;

const PATH = 'v1/traces';
/** The standard's address of a collector, used if only OTEL_TRACES_EXPORTER asks for traces. */
const DEFAULT_ENDPOINT = 'http://localhost:4318';
/** Largest number that a setting may have. */
const MOST = 1_000_000;

/**
 * Reads the standard variables of OpenTelemetry. Traces are on if an endpoint is named, or OTEL_TRACES_EXPORTER is
 * `otlp`. Values that cannot be used turn them off and do not stop the process: the variables may have been set for
 * other programs.
 */
export function readTraceSettings(env: Env, service: string): TraceSettings | NoTraces {
  const value = (name: string): string => env[name]?.trim() ?? '';
  const exporter = value('OTEL_TRACES_EXPORTER');
  const own = value('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT');
  const common = value('OTEL_EXPORTER_OTLP_ENDPOINT');
  const isAsked = own !== '' || common !== '' || exporter === 'otlp';
  if (!isAsked || exporter === 'none' || value('OTEL_SDK_DISABLED').toLowerCase() === 'true') return off(null);
  if (exporter !== '' && exporter !== 'otlp')
    return off(`OTEL_TRACES_EXPORTER: ${exporter}: only otlp and none are known`);
  const protocol = value('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') || value('OTEL_EXPORTER_OTLP_PROTOCOL');
  if (protocol !== '' && protocol !== 'http/protobuf') {
    return off(`OTEL_EXPORTER_OTLP_PROTOCOL: ${protocol}: only http/protobuf is spoken`);
  }
  const url = urlOf(own === '' ? `${(common || DEFAULT_ENDPOINT).replace(/\/+$/, '')}/${PATH}` : own);
  if (url === null) return off(`OTEL_EXPORTER_OTLP_ENDPOINT: ${own || common}: is no http or https URL`);
  const sampler = samplerOf(value('OTEL_TRACES_SAMPLER'), value('OTEL_TRACES_SAMPLER_ARG'));
  if (sampler === null) return off(`OTEL_TRACES_SAMPLER: ${value('OTEL_TRACES_SAMPLER')}: is not known`);
  const maxQueueSize = number(value('OTEL_BSP_MAX_QUEUE_SIZE'), 2048);
  return {
    kind: 'on',
    url,
    service: value('OTEL_SERVICE_NAME') || `spanmesh-${service}`,
    sampler,
    batch: {
      maxQueueSize,
      maxExportBatchSize: Math.min(maxQueueSize, number(value('OTEL_BSP_MAX_EXPORT_BATCH_SIZE'), 512)),
      scheduledDelayMillis: number(value('OTEL_BSP_SCHEDULE_DELAY'), 5000),
      exportTimeoutMillis: number(value('OTEL_BSP_EXPORT_TIMEOUT'), 30_000),
    },
  };
}

function off(why: string | null): NoTraces {
  return { kind: 'off', why };
}

function urlOf(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url?.protocol === 'http:' || url?.protocol === 'https:' ? url.href : null;
}

/** The sampler by its standard name. By the standard, an invalid ratio counts as 1. */
function samplerOf(name: string, argument: string): SamplerSettings | null {
  const full = name === '' ? 'parentbased_always_on' : name;
  const parentBased = full.startsWith('parentbased_');
  const kind = parentBased ? full.slice('parentbased_'.length) : full;
  if (kind !== 'always_on' && kind !== 'always_off' && kind !== 'traceidratio') return null;
  const ratio = argument === '' ? 1 : Number(argument);
  return { kind, parentBased, ratio: ratio >= 0 && ratio <= 1 ? ratio : 1 };
}

/** A number; by the standard, an invalid one counts as the default. */
function number(text: string, otherwise: number): number {
  return /^[1-9]\d*$/.test(text) && Number(text) <= MOST ? Number(text) : otherwise;
}
