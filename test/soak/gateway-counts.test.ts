import { describe, expect, it } from 'vitest';
import { countedFaults, countFindings } from './gateway-counts.ts';

const table = (count: number) => new Map(Array.from({ length: count }, (_, n) => [BigInt(n), null as never]));
/** A peer with one LNK_CONN, two spans and three relays, of which one is of a gateway's own span. */
const PEER = { conns: table(1), spans: table(2), held: table(3) };
const EXPLAINED = { peers: [PEER], gatewaySpans: 1, routes: 2 };
const COUNTS = {
  'spanmesh_gateway_open{table="transactions"}': 7,
  spanmesh_gateway_on_demand_relays: 1,
  spanmesh_messaging_routes: 2,
  spanmesh_gateway_trunk_transactions: 4,
  spanmesh_gateway_trunk_routes: 4,
  spanmesh_gateway_queued_bytes: 0,
};
const found = (changed: Partial<Record<string, number>>) =>
  countFindings('gateway-1', new Map(Object.entries({ ...COUNTS, ...changed } as Record<string, number>)), EXPLAINED);

describe('What a gateway counts when everything is quiet', () => {
  it('is explained by its peers and clients', () => {
    expect(found({})).toEqual([]);
  });

  it.each([
    ['spanmesh_gateway_open{table="transactions"}', 8, 'gateway-1 has 8 transactions open, its peers 7'],
    ['spanmesh_gateway_on_demand_relays', 2, 'gateway-1 has 2 relays open on demand, of which its peers explain 1'],
    ['spanmesh_gateway_on_demand_relays', 0, 'gateway-1 has 0 relays open on demand, of which its peers explain 1'],
    ['spanmesh_messaging_routes', 3, 'gateway-1 has 3 routes of clients, its clients 2'],
    ['spanmesh_gateway_trunk_transactions', 5, 'gateway-1: 1 transactions are open on trunks'],
    ['spanmesh_gateway_queued_bytes', 64, 'gateway-1: spanmesh_gateway_queued_bytes is 64'],
  ])('%s of %i is not', (name, value, text) => {
    expect(found({ [name]: value })).toEqual([text]);
  });

  it('has no protocol errors and no internal ones', () => {
    const samples = new Map([
      ['spanmesh_gateway_protocol_errors_total{code="TRANS"}', 1],
      ['spanmesh_gateway_internal_errors_total', 0],
    ]);
    expect(countedFaults('gateway-1', samples)).toEqual([
      'gateway-1: spanmesh_gateway_protocol_errors_total{code="TRANS"} is 1',
    ]);
  });
});
