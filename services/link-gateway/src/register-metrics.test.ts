import { Metrics } from '@spanmesh/runtime/metrics';
import { samples } from '@spanmesh/runtime/metrics.fixture';
import { expect, it } from 'vitest';
import { GatewayMetrics } from './metrics.ts';
import { registerMetrics } from './register-metrics.ts';
import { registerTrunkMetrics, TrunkMetrics } from './trunk/trunk-metrics.ts';

/** Gives each plain number another value; field → value. */
function fill(counts: object): Record<string, number> {
  const given: Record<string, number> = {};
  for (const [field, value] of Object.entries(counts)) {
    if (typeof value === 'number') given[field] = 11 + Object.keys(given).length;
  }
  Object.assign(counts, given);
  return given;
}

/** `connectionsAccepted` → `connections_accepted`. */
const snake = (field: string) => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
/** Fields that are called otherwise when they are shown. */
const NAMES: Readonly<Record<string, string>> = {
  bytesIn: 'received_bytes',
  bytesOut: 'sent_bytes',
  messagesIn: 'received_messages',
  messagesOut: 'sent_messages',
};
const UNSHOWN = new Set(['handled']);

it('each number of a gateway is shown under the name of its field', async () => {
  const metrics = new Metrics();
  const counts = new GatewayMetrics();
  const given = fill(counts);
  counts.protocolErrors.CRC = 91;
  counts.refused['no-key'] = 92;
  counts.closed.silent = 93;
  counts.relaysClosed.unused = 94;
  registerMetrics(metrics, {
    metrics: counts,
    tables: { connections: new Map([[1, {}]]) },
    entrance: { admission: { total: 95 } },
    shares: { all: [], received: { held: 96 } },
  } as never);
  const shown = await samples(metrics);
  for (const [field, value] of Object.entries(given)) {
    if (UNSHOWN.has(field)) continue;
    const name = `gateway_${NAMES[field] ?? snake(field)}`;
    expect([field, shown[name] ?? shown[`${name}_total`]]).toEqual([field, value]);
  }
  expect(shown).toMatchObject({
    'gateway_protocol_errors_total{error="CRC"}': 91,
    'gateway_connections_refused_total{reason="no-key"}': 92,
    'gateway_connections_closed_total{reason="silent"}': 93,
    'gateway_relays_closed_total{reason="unused"}': 94,
    gateway_connections: 95,
    gateway_connections_established: 1,
    gateway_receive_pending_bytes: 96,
  });
});

it('each number of the trunks, too', async () => {
  const metrics = new Metrics();
  const counts = new TrunkMetrics();
  const given = fill(counts);
  counts.lost.silent = 91;
  registerTrunkMetrics(metrics, counts);
  const shown = await samples(metrics);
  for (const [field, value] of Object.entries(given)) {
    const name = `gateway_trunk_${NAMES[field] ?? snake(field)}`;
    expect([field, shown[name] ?? shown[`${name}_total`]]).toEqual([field, value]);
  }
  expect(shown['gateway_trunk_lost_total{reason="silent"}']).toBe(91);
});
