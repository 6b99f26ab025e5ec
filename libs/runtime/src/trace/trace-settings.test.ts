import { describe, expect, it } from 'vitest';
import { readTraceSettings } from './trace-settings.ts';

const on = (env: Record<string, string>) => {
  const settings = readTraceSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318', ...env }, 'topology');
  if (settings.kind === 'off') throw new Error(`off: ${settings.why}`);
  return settings;
};

describe('traces are off', () => {
  it.each<[Record<string, string>]>([
    [{}],
    [{ OTEL_SERVICE_NAME: 'x', OTEL_TRACES_SAMPLER: 'always_on' }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318', OTEL_SDK_DISABLED: 'TRUE' }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318', OTEL_TRACES_EXPORTER: 'none' }],
  ])('with %j, as it is meant', (env) => {
    expect(readTraceSettings(env, 'topology')).toEqual({ kind: 'off', why: null });
  });

  it.each<[Record<string, string>, RegExp]>([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'c:4318' }, /^OTEL_EXPORTER_OTLP_ENDPOINT: c:4318: is no http/],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, /: grpc: only http\/protobuf/],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_TRACES_EXPORTER: 'zipkin' }, /: zipkin: only otlp and none/],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_TRACES_SAMPLER: 'jaeger_remote' }, /jaeger_remote: is not known/],
  ])('with %j, and the reason is given', (env, why) => {
    expect(readTraceSettings(env, 'topology')).toEqual({ kind: 'off', why: expect.stringMatching(why) });
  });
});

describe('traces go', () => {
  it.each<[string, Record<string, string>]>([
    ['http://c:4318/v1/traces', { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' }],
    ['https://c/otel/v1/traces', { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c/otel/' }],
    ['http://d/as-it-is', { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://d/as-it-is' }],
    ['http://localhost:4318/v1/traces', { OTEL_EXPORTER_OTLP_ENDPOINT: '', OTEL_TRACES_EXPORTER: 'otlp' }],
  ])('to the endpoint of %s', (url, env) => {
    expect(on(env).url).toBe(url);
  });

  it('under the name of the service, or a configured one', () => {
    expect([on({}).service, on({ OTEL_SERVICE_NAME: 'x' }).service]).toEqual(['spanmesh-topology', 'x']);
  });

  it.each<[string, string, object]>([
    ['', '', { kind: 'always_on', parentBased: true, ratio: 1 }],
    ['always_off', '', { kind: 'always_off', parentBased: false, ratio: 1 }],
    ['traceidratio', '0.25', { kind: 'traceidratio', parentBased: false, ratio: 0.25 }],
    ['parentbased_traceidratio', '0', { kind: 'traceidratio', parentBased: true, ratio: 0 }],
    ['parentbased_traceidratio', '7', { kind: 'traceidratio', parentBased: true, ratio: 1 }],
  ])('at the rate of OTEL_TRACES_SAMPLER=%s and _ARG=%s', (sampler, argument, expected) => {
    expect(on({ OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: argument }).sampler).toEqual(expected);
  });

  it('in batches of limited size', () => {
    const standard = {
      maxQueueSize: 2048,
      maxExportBatchSize: 512,
      scheduledDelayMillis: 5000,
      exportTimeoutMillis: 30_000,
    };
    expect(on({}).batch).toEqual(standard);
    const odd = { OTEL_BSP_MAX_QUEUE_SIZE: '-1', OTEL_BSP_SCHEDULE_DELAY: '1e99', OTEL_BSP_EXPORT_TIMEOUT: 'x' };
    expect(on(odd).batch).toEqual(standard);
    // A batch larger than the queue would make no sense.
    expect(on({ OTEL_BSP_MAX_QUEUE_SIZE: '100' }).batch).toMatchObject({ maxQueueSize: 100, maxExportBatchSize: 100 });
  });
});
