import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { createLogger } from '../log/logger.ts';
import { openTracer } from './open-telemetry.ts';
import { readTraceSettings } from './trace-settings.ts';

// Limits: trace/open-telemetry.ts MAX_TEXT
it('notes what peers have written up to a length, in attributes and in what failed', async () => {
  const parts: Buffer[] = [];
  const receiver = createServer((request, response) => {
    request.on('data', (part: Buffer) => parts.push(part)).on('end', () => response.end());
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const { port } = receiver.address() as AddressInfo;
  const settings = readTraceSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` }, 'test');
  if (settings.kind === 'off') throw new Error('no traces are sent');
  const logger = createLogger({ level: 'silent', service: 'test' });
  const tracer = openTracer(settings, { logger });
  const step = tracer.begin('a step', { attributes: { whole: 'w'.repeat(256), cut: 'c'.repeat(257) } });
  step.end('f'.repeat(257));
  await tracer.stop();
  receiver.close();
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
