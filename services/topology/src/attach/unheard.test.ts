import { FakeClock } from '@spanmesh/runtime/fake-clock';
import type { GatewayRecord } from '@spanmesh/runtime/gateways/registry';
import { type Missed, SILENT_MS } from '@spanmesh/runtime/gateways/signs-of-life';
import { expect, it } from 'vitest';
import { unheardGateways } from './unheard.ts';

/**
 * Silence by name of gateway, at 60 s. `joined` is in the registry; signs of life of other processes come since
 * `flowingSince`.
 */
function unheard({ living = [] as string[], missed = [] as Missed[], flowingSince = 0 as number | null } = {}) {
  const clock = new FakeClock();
  clock.advance(60_000);
  return unheardGateways({
    presence: {
      get: (name) => (name === 'joined' ? ({ name } as GatewayRecord) : null),
      living: () => living.map((name) => ({ kind: 'link-gateway', id: `${name}.1`, name })),
      missed: () => missed,
      flowingSince,
    },
    clock,
  });
}

const missed = (name: string, since: number, kind: Missed['kind'] = 'link-gateway'): Missed => ({
  kind,
  id: `${name}.1`,
  name,
  since,
});

it('a gateway is unheard since its last sign of life or, if it has joined and given none, since signs of others came', () => {
  const of = unheard({ living: ['heard'], missed: [missed('silent', 50_000), missed('other', 1, 'volconf')] });
  expect(['heard', 'silent', 'joined', 'nobody', 'other'].map(of)).toEqual([0, 10_000, 60_000, 0, 0]);
});

it('a gateway is not unheard after a short silence, nor while no process is heard', () => {
  expect(unheard({ missed: [missed('a', 60_000 - SILENT_MS + 1)] })('a')).toBe(0);
  expect(unheard({ missed: [missed('a', 60_000 - SILENT_MS)] })('a')).toBe(SILENT_MS);
  expect(unheard({ missed: [missed('a', 0)], flowingSince: null })('a')).toBe(0);
});
