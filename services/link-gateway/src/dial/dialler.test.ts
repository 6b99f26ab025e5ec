import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { expect, it } from 'vitest';
import { LinkGatewayError } from '../gateway-error.ts';
import { GatewayMetrics } from '../metrics.ts';
import { OPERATOR } from './asker.ts';
import { Dialler, type DiallerDependencies } from './dialler.ts';
import type { Asking } from './names/look-ups.ts';

it('a dial that was given up before it began is over at once', async () => {
  const clock = new FakeClock();
  const metrics = new GatewayMetrics();
  /** For each look-up: whether the dial had already been given up when the look-up was asked for. */
  const lookUps: boolean[] = [];
  const dialler = new Dialler({
    clock,
    metrics,
    options: { connectTimeout: 1000 },
    resolve: (_host: string, { signal }: Asking) => {
      lookUps.push(signal.aborted);
      return Promise.reject(new LinkGatewayError('look-up', { why: 'given-up' }));
    },
  } as unknown as DiallerDependencies);
  const limits = { asker: OPERATOR, signal: AbortSignal.abort() };
  const dialled = dialler.dial({ host: 'a.example', port: 987 }, 'auto', { kind: 'shell' }, limits);
  await expect(dialled).rejects.toMatchObject({ data: { why: 'timeout' } });
  expect(lookUps).toEqual([true]);
  expect([metrics.dialsFailed, clock.pending]).toEqual([1, 0]);
});
