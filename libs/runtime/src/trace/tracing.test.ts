import { expect, it } from 'vitest';
import { recordingLogger } from '../tls/certificates.fixture.ts';
import { Tracing } from './tracing.ts';

async function logged(env: Record<string, string>): Promise<string[]> {
  const { lines, logger } = recordingLogger();
  const tracing = new Tracing();
  await tracing.start({ service: 'topology', env }, { logger });
  expect(tracing.tracer).toBeNull();
  await tracing.stop();
  return lines.map((line) => JSON.parse(line).msg);
}

it('nothing is said where no traces are wanted, and why none are sent where the variables are wrong', async () => {
  expect(await logged({})).toEqual([]);
  const wrong = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };
  expect(await logged(wrong)).toEqual(['no traces are sent']);
});

it('a tracer is there where traces are wanted, until the stop, which may come before', async () => {
  const { lines, logger } = recordingLogger();
  const tracing = new Tracing();
  await tracing.stop();
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_TRACES_SAMPLER: 'always_off' };
  await tracing.start({ service: 'topology', env }, { logger });
  expect(tracing.tracer).not.toBeNull();
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { level: 'info', msg: 'traces are sent', to: 'http://127.0.0.1:1/v1/traces', sampler: 'always_off' },
  ]);
  await tracing.stop();
  expect(tracing.tracer).toBeNull();
});
