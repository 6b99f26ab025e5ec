import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { createLogger } from '../log/logger.ts';
import { Metrics } from '../metrics.ts';
import { openTracer } from './open-telemetry.ts';
import type { Tracer } from './step.ts';
import { TraceCounts } from './trace-counts.ts';
import { readTraceSettings } from './trace-settings.ts';

let receiver: Server;
/** Lines logged by the tracers of this file. */
const lines: { readonly msg: string; readonly detail?: string }[] = [];
const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
afterEach(() => void receiver.close());

/** A tracer that sends to a receiver with this answer; `batch`: variables OTEL_BSP_…. */
async function tracerTo(answer: RequestListener, batch: Record<string, string> = {}): Promise<[Tracer, TraceCounts]> {
  receiver = createServer(answer).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  const { port } = receiver.address() as AddressInfo;
  const settings = readTraceSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, ...batch }, 'test');
  if (settings.kind === 'off') throw new Error('no traces are sent');
  const counts = new TraceCounts();
  return [
    openTracer(settings, { logger: createLogger({ level: 'warn', service: 'test', destination }), counts }),
    counts,
  ];
}

// Limits: trace/open-telemetry.ts MAX_TEXT
it('records texts of peers up to a length, in attributes and in failures', async () => {
  const parts: Buffer[] = [];
  const [tracer] = await tracerTo((request, response) => {
    request.on('data', (part: Buffer) => parts.push(part)).on('end', () => response.end());
  });
  const step = tracer.begin('a step', { attributes: { whole: 'w'.repeat(256), cut: 'c'.repeat(257) } });
  step.end('f'.repeat(257));
  await tracer.stop();
  const longest = (char: string) =>
    Math.max(
      ...[
        ...Buffer.concat(parts)
          .toString('latin1')
          .matchAll(new RegExp(`${char}+`, 'g')),
      ].map(([all]) => all.length),
    );
  expect(['w', 'c', 'f'].map(longest)).toEqual([256, 256, 256]);
});

// Causes: metric spanmesh_trace_parts_sent_total
it('counts the steps that are sent, and those that do not fit into the queue', async () => {
  const [tracer, counts] = await tracerTo((request, response) => request.resume().on('end', () => response.end()), {
    OTEL_BSP_MAX_QUEUE_SIZE: '2',
  });
  // Two are being sent, two wait, and three find the queue full, all in one turn of the event loop.
  for (let n = 0; n < 7; n++) tracer.begin('a step').end();
  expect({ ...counts }).toEqual({ sent: 0, queueFull: 3, notTaken: 0 });
  await tracer.stop();
  await expect.poll(() => ({ ...counts })).toEqual({ sent: 4, queueFull: 3, notTaken: 0 });
});

// Causes: metric spanmesh_trace_parts_lost_total
// Causes: line traces cannot be sent
it('counts the steps that the collector does not take, and logs in a sentence why', async () => {
  lines.length = 0;
  const refuse: RequestListener = (request, response) => {
    request.resume().on('end', () => response.writeHead(400).end());
  };
  // Steps are sent as soon as there are five.
  const [tracer, counts] = await tracerTo(refuse, { OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '5' });
  for (let n = 0; n < 5; n++) tracer.begin('a step').end();
  await expect.poll(() => ({ ...counts })).toEqual({ sent: 0, queueFull: 0, notTaken: 5 });
  const said = () => lines.map(({ msg, detail }) => [msg, detail]);
  await expect.poll(said).toEqual([['traces cannot be sent', 'Bad Request']]);
  await tracer.stop();
  const metrics = new Metrics();
  counts.register(metrics);
  const text = await metrics.text();
  expect(text).toContain('spanmesh_trace_parts_sent_total 0\n');
  expect(text).toContain('spanmesh_trace_parts_lost_total{reason="not_taken"} 5\n');
});
