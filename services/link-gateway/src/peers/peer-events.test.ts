import { EventKind } from '@spanmesh/proto/v1/events';
import { Dialect } from '@spanmesh/proto/v1/types';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestGateway } from '../testing/gateway.fixture.ts';

const { EVENT_KIND_PEER_UP: UP, EVENT_KIND_LNK_CONN: LNK_CONN, EVENT_KIND_PEER_DOWN: DOWN } = EventKind;

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await TestGateway.start();
});
afterEach(() => gateway.stop());

/** The events told so far, without the peers' addresses. */
function told(): unknown[] {
  return gateway.told.map(({ kind, subject, principal, peer }) => [
    kind,
    subject,
    principal,
    peer?.label,
    peer?.reason,
  ]);
}

describe('events of peers', () => {
  // Causes: event PEER_UP, LNK_CONN, PEER_DOWN
  it('tell that a peer connects, asks for spans, and goes, and why', async () => {
    const { peer } = await gateway.established('circuit');
    peer.destroy();
    await gateway.attach.until(({ connectionsClosed }) => connectionsClosed.length > 0);
    await expect.poll(() => gateway.told.length).toBe(3);
    const [{ subject = '' } = {}] = gateway.told;
    expect(subject).toMatch(/^gw\.[0-9a-f]{8}:\d+$/);
    expect(told()).toEqual([
      [UP, subject, '127.0.0.1', '', ''],
      [LNK_CONN, subject, '127.0.0.1', 'probe', ''],
      [DOWN, subject, '127.0.0.1', '', expect.stringMatching(/^the (peer has closed|network has broken) it$/)],
    ]);
    for (const { peer: about } of gateway.told) expect(about?.dialect).toBe(Dialect.DIALECT_CIRCUIT);
    expect(gateway.told[0]?.peer).toMatchObject({
      connection: subject,
      address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      keyName: '',
    });
  });

  it('tell nothing of a connection that was never established', async () => {
    const peer = await gateway.peer('circuit', 'auto');
    peer.destroy();
    await expect.poll(() => gateway.gateway.counts().connections).toBe(0);
    expect(gateway.told).toEqual([]);
  });

  // Causes: event DRAIN
  it('tell, when the gateway stops, that it drains and that its peers go for that reason', async () => {
    await gateway.established('linkid');
    const stopped = gateway.stop();
    await stopped;
    expect(gateway.told.map(({ kind, peer, drain }) => [kind, peer?.reason ?? drain?.done])).toEqual([
      [UP, ''],
      [LNK_CONN, ''],
      [EventKind.EVENT_KIND_DRAIN, false],
      [DOWN, 'the gateway stops: this gateway stops'],
      [EventKind.EVENT_KIND_DRAIN, true],
    ]);
  });
});
