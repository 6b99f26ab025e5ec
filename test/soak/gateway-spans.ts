import { parseHostPort } from '@spanmesh/runtime/address';
import type { Trees } from '../peer/trees.ts';

/** A peer with the names of the gateways whose own spans it holds relays of. */
export interface SpanHolder {
  readonly name: string;
  readonly address: string;
  readonly gatewaySpans: readonly string[];
}

/** A route of a client of this gateway to the owner of this link. */
export interface ClientRoute {
  readonly gateway: string;
  readonly link: string;
}

/**
 * Which relays of gateways' own spans are too many or missing, when no leaf of linkid has called lately: a gateway
 * offers its span to a linkid peer while, and only while, one of its clients has a route to a link of the peer
 * (protocol.md, "Routing, linkid"), and once. `routes`: those to linkid nodes. No tree has such a span.
 */
export function gatewaySpanFindings(
  holders: readonly SpanHolder[],
  routes: readonly ClientRoute[],
  { connections, links }: Pick<Trees, 'connections' | 'links'>,
): string[] {
  const found: string[] = [];
  const addresses = new Map(connections.map(({ id, remoteAddress }) => [id, parseHostPort(remoteAddress).host]));
  const byLink = new Map(links.map(({ id, connection }) => [id, addresses.get(connection)]));
  const due = new Map<string, Set<string>>();
  for (const { gateway, link } of routes) {
    const address = byLink.get(link);
    if (address === undefined) found.push(`a client of ${gateway} has a route over ${link}, which no tree has`);
    else due.set(address, (due.get(address) ?? new Set()).add(gateway));
  }
  for (const { name, address, gatewaySpans } of holders) {
    const wanted = [...(due.get(address) ?? [])].toSorted().join();
    const held = gatewaySpans.toSorted().join();
    if (held !== wanted)
      found.push(`${name}: holds the own spans of gateways: ${held || 'none'}, not ${wanted || 'none'}`);
  }
  return found;
}
