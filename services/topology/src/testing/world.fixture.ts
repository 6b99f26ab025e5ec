import type { AttachRequest } from '@spanmesh/proto/v1/gateway_control';
import { type FakeGateway, pairName } from './fake-gateway.fixture.ts';
import type { FakeLeader } from './fake-leader.fixture.ts';

/** Delivers all messages, and attaches gateways that lost their stream again, until nothing changes any more. */
export function settle(leader: FakeLeader, gateways: readonly FakeGateway[]): void {
  for (let round = 0; round < 1000; round++) {
    let moved = false;
    leader.finish();
    for (const gateway of gateways) {
      if (gateway.stream === undefined || gateway.stream.over) {
        gateway.connect(leader);
        moved = true;
      }
      gateway.flush();
      const silent = gateway.up.length === 1 && isEmpty(gateway.up[0]!);
      while (gateway.deliverUp()) if (!silent) moved = true;
      while (gateway.deliverDown()) moved = true;
    }
    leader.finish();
    leader.core.flush();
    leader.finish();
    if (!moved && gateways.every((gateway) => gateway.stream!.sent.length === gateway.read)) return;
  }
  throw new Error('never quiet');
}

function isEmpty({ delta }: Partial<AttachRequest>): boolean {
  if (delta === undefined) return false;
  return Object.values(delta).every((value) => !value || typeof value === 'number' || value.length === 0);
}

/**
 * The relays that should be open, by gateway: the selection of architecture.md, computed from scratch. The LNK_CONNs of
 * these tests accept every span, and no connection is suspect.
 */
export function naiveSelection(gateways: readonly FakeGateway[]): Map<string, Set<string>> {
  const all = gateways.flatMap((gateway) => [...gateway.links.values()].map((link) => ({ gateway, link })));
  const wanted = new Map<string, Set<string>>();
  for (const gateway of gateways) {
    const pairs = new Set<string>();
    wanted.set(gateway.id, pairs);
    for (const lnkConn of gateway.lnkConns.values()) {
      const links = all.filter(({ link }) => link.dialect === lnkConn.dialect);
      for (const node of new Set(links.map(({ link }) => link.node))) {
        const walk = links
          .filter((one) => one.link.node === node && !gateway.unreachable.has(one.gateway.id))
          .sort(
            (a, b) =>
              a.link.dist - b.link.dist ||
              a.link.stamp - b.link.stamp ||
              (a.gateway.id < b.gateway.id ? -1 : a.gateway.id > b.gateway.id ? 1 : a.link.id - b.link.id),
          );
        let left = lnkConn.dialect === 'linkid' ? 2 : 1;
        for (const one of walk) {
          const own = one.gateway === gateway && one.link.connection === lnkConn.connection;
          if (left-- === 0 || own || one.link.dist > 16) break;
          pairs.add(pairName(one.gateway.id, one.link.id, lnkConn.id));
        }
      }
    }
  }
  return wanted;
}

/** The relays on a gateway that the leader's tree holds as open. */
export function treeRelays(leader: FakeLeader, gateway: FakeGateway): Set<string> {
  const pairs = new Set<string>();
  const { state } = leader.core;
  for (const lnkConn of state.gateways.get(gateway.id)?.lnkConns.values() ?? []) {
    for (const link of lnkConn.relays()) pairs.add(pairName(link.connection.gateway, link.id, lnkConn.id));
  }
  return pairs;
}
