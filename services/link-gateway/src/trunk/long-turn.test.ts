import { BLK_READ } from '@spanmesh/dmsg/command';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TestGateway } from '../testing/gateway.fixture.ts';
import { ALIVE_MS } from './limits.ts';
import { TestPair, turns } from './trunk.fixture.ts';

describe('in a long turn of the event loop', () => {
  let pair: TestPair;

  beforeEach(async () => {
    pair = await new TestPair().start();
  });
  afterEach(() => pair.stop());

  const established = async () => {
    const route = pair.route();
    await until(() => pair.b.terminal.opened.length > 0);
    await turns();
    return route;
  };

  it('a gateway says now and then that it lives, which is not answered', async () => {
    await established();
    const { a, b, clock } = pair;
    const before = { a: a.trunks.metrics.messagesIn, b: b.trunks.metrics.messagesIn };
    a.trunks.longTurn();
    await until(() => b.trunks.metrics.messagesIn === before.b + 1);
    clock.advance(ALIVE_MS - 1);
    a.trunks.longTurn();
    await turns();
    expect(b.trunks.metrics.messagesIn).toBe(before.b + 1);
    clock.advance(1);
    a.trunks.longTurn();
    await until(() => b.trunks.metrics.messagesIn === before.b + 2);
    await turns();
    expect(a.trunks.metrics.messagesIn).toBe(before.a);
  });

  it('what waits for the end of the turn is written', async () => {
    const route = await established();
    pair.a.trunks.longTurn();
    await turns();
    route.endpoint.open(BLK_READ, route, { onMessage() {}, onLost() {} });
    expect(pair.a.trunks.queuedBytes).toBeGreaterThan(0);
    pair.a.trunks.longTurn();
    expect(pair.a.trunks.queuedBytes).toBe(0);
    await until(() => pair.b.terminal.heard.length === 1);
  });

  it('a trunk that is not established, or lost, says nothing', async () => {
    pair.a.trunks.longTurn();
    await established();
    pair.b.trunks.gone([pair.a.id]);
    await until(() => pair.a.trunks.counts().established === 0);
    pair.a.trunks.longTurn();
    expect(pair.a.trunks.queuedBytes).toBe(0);
  });
});

it('a gateway that has read for long in one turn tells its trunks', async () => {
  const clock = new FakeClock();
  const gateway = await TestGateway.start({ clock });
  const told = vi.spyOn(gateway.gateway.trunks!, 'longTurn');
  const { flow } = gateway.trunkHost!;
  const reads = (many: number) => {
    const reader = { pauseFor() {} };
    for (let n = 0; n < many; n++) {
      flow.begin(reader);
      flow.end(reader);
    }
  };
  try {
    reads(100);
    expect(told).not.toHaveBeenCalled();
    clock.advance(1000);
    reads(100);
    expect(told).toHaveBeenCalledTimes(1);
  } finally {
    await gateway.stop();
  }
});
