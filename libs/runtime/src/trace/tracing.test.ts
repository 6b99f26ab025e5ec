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
