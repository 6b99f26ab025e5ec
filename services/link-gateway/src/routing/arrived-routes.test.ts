import { BLK_READ, DELETE } from '@spanmesh/dmsg/command';
import { afterEach, describe, expect, it } from 'vitest';
import type { TestGateway } from '../testing/gateway.fixture.ts';
import { Mesh } from './mesh.fixture.ts';

let mesh: Mesh;
afterEach(() => mesh.stop());

const QUIET = { onMessage() {}, onLost() {} };

/** A member on each of two gateways; `a` has the relay of the span of the other, `b`. */
async function pair() {
  mesh = await Mesh.start({ SPANMESH_ON_DEMAND_IDLE: '1s' }, 2);
  const [one, two] = mesh.gateways as [typeof mesh.gateway, typeof mesh.gateway];
  const a = await mesh.join('linkid', one);
  const b = await mesh.join('linkid', two);
  const spanB = await mesh.span(b);
  const relayB = await mesh.relaySpan(spanB, a);
  return { one, two, a, b, relayB };
}

/**
 * Advances the clock until unused things have closed: first the route, then its return path. The trunk is kept alive.
 */
async function idle({ clock }: TestGateway): Promise<void> {
  for (let seconds = 0; seconds < 4; seconds++) {
    clock.advance(1000);
    await mesh.settled(2);
  }
}

describe('a sender on another gateway', () => {
  it('whose return path cannot be opened leaves nothing, however often it asks under another span', async () => {
    const { one, two, a, relayB } = await pair();
    for (let i = 0; i < 20; i++) {
      // protocol.md, "Routing, linkid": no return path past dist 16.
      const spanA = await mesh.span(a, 17);
      const to = a.node.address(spanA.tx, relayB);
      a.node.endpoint.open(BLK_READ | DELETE, null, QUIET, null, 0, null, to);
      a.node.flush();
      await mesh.settled(2);
      expect(two.gateway.counts().remoteLinks).toBe(0);
      a.node.endpoint.end(spanA.tx);
      a.node.flush();
    }
    await mesh.settled();
    expect([one.gateway.counts().links, two.attach.delta.linksKnown]).toEqual([0, []]);
  });

  it('is reported as known once, when its return path opens, and forgotten when topology says that its link is gone', async () => {
    const { one, two, a, b, relayB } = await pair();
    const spanA = await mesh.span(a);
    const to = a.node.address(spanA.tx, relayB);
    b.node.onOpen = (tx) => b.node.endpoint.end(tx);
    for (let i = 0; i < 3; i++) {
      a.node.endpoint.open(BLK_READ | DELETE, null, QUIET, null, 0, null, to);
      a.node.flush();
      await mesh.settled(2);
    }
    const known = { gateway: one.gateway.id, link: spanA.link };
    expect(two.attach.delta.linksKnown).toEqual([known]);
    expect(two.attach.delta.onDemandOpened).toEqual([
      { linkGateway: known.gateway, link: known.link, lnkConns: [b.lnkConn] },
    ]);
    // The link stays known although nothing uses it any more: the leader counts on that, and need not send its payload
    // again.
    await idle(one);
    expect(b.node.relays).toEqual([]);
    two.attach.command({ relays: [{ ...known, open: [b.lnkConn], close: [] }] });
    await b.node.until(() => b.node.relays.length === 1);
    two.attach.command({ linksGone: [known] });
    await b.node.until(() => b.node.relays.length === 0);
    expect(two.gateway.counts()).toMatchObject({ remoteLinks: 0, relays: 0, onDemandRelays: 0 });
  });

  it('that was reported to no leader is forgotten with its return path', async () => {
    const { one, two, a, b, relayB } = await pair();
    two.attach.lose();
    const spanA = await mesh.span(a);
    a.node.endpoint.open(BLK_READ | DELETE, null, QUIET, null, 0, null, a.node.address(spanA.tx, relayB));
    b.node.onOpen = (tx) => b.node.endpoint.end(tx);
    a.node.flush();
    await mesh.settled(2);
    expect(two.gateway.counts().remoteLinks).toBe(1);
    await idle(one);
    expect(two.gateway.counts()).toMatchObject({ remoteLinks: 0, onDemandRelays: 0 });
  });
});
