import { Connection, Link } from '@spanmesh/proto/v1/types';
import { describe, expect, it } from 'vitest';
import { gatewaySpanFindings } from './gateway-spans.ts';

const TREES = {
  connections: [
    Connection.fromPartial({ id: 'g1:1', remoteAddress: '127.0.2.1:4000' }),
    Connection.fromPartial({ id: 'g2:1', remoteAddress: '127.0.2.2:4000' }),
  ],
  links: [
    Link.fromPartial({ id: 'g1:11', connection: 'g1:1' }),
    Link.fromPartial({ id: 'g1:12', connection: 'g1:1' }),
    Link.fromPartial({ id: 'g2:11', connection: 'g2:1' }),
  ],
};
const holding = (first: string[], second: string[] = []) => [
  { name: 'one', address: '127.0.2.1', gatewaySpans: first },
  { name: 'two', address: '127.0.2.2', gatewaySpans: second },
];

describe('The own spans of gateways', () => {
  it('are held once by each peer to which a client has a route, and by no other', () => {
    const routes = [
      { gateway: 'gateway-1', link: 'g1:11' },
      { gateway: 'gateway-1', link: 'g1:12' },
      { gateway: 'gateway-2', link: 'g1:11' },
    ];
    expect(gatewaySpanFindings(holding(['gateway-2', 'gateway-1']), routes, TREES)).toEqual([]);
    expect(gatewaySpanFindings(holding(['gateway-2']), routes, TREES)).toEqual([
      'one: holds the own spans of gateways: gateway-2, not gateway-1,gateway-2',
    ]);
    expect(gatewaySpanFindings(holding(['gateway-1', 'gateway-1', 'gateway-2']), routes, TREES)).toHaveLength(1);
    expect(gatewaySpanFindings(holding(['gateway-1', 'gateway-2'], ['gateway-1']), routes, TREES)).toEqual([
      'two: holds the own spans of gateways: gateway-1, not none',
    ]);
  });

  it('are held by nobody without a route', () => {
    expect(gatewaySpanFindings(holding([]), [], TREES)).toEqual([]);
    expect(gatewaySpanFindings(holding(['gateway-1']), [], TREES)).toHaveLength(1);
  });

  it('are not for links that are gone', () => {
    expect(gatewaySpanFindings(holding([]), [{ gateway: 'gateway-1', link: 'g1:13' }], TREES)).toEqual([
      'a client of gateway-1 has a route over g1:13, which no tree has',
    ]);
  });
});
